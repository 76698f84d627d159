"""A witness (C2SP tlog-witness): keeps the last checkpoint of each log, refuses a fork, and cosigns.

What it knows stands in one JSON file, replaced as a whole, so that a crash leaves the old one or the new one.
"""

import base64
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from consent.transparency.checkpoint import Checkpoint
from consent.transparency.merkle import EMPTY_ROOT, HASH_BYTES, InvalidProof, verify_consistency
from consent.transparency.note import MalformedNote, Note, Signer, UntrustedNote, Verifier, verify_any

MOST_PROOF_LINES = 63
_OLD = re.compile(r"old (0|[1-9]\d{0,18})")


class WitnessRefused(Exception):
    """The witness does not cosign; `status` is that of its answer, `body` what it says."""

    def __init__(self, status: int, body: str, *, is_size: bool = False) -> None:
        super().__init__(body.strip())
        self.status = status
        self.body = body
        self.is_size = is_size


@dataclass(frozen=True)
class Submission:
    """A request to cosign: the size that the witness should know, the proof, and the signed checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: Note

    def __str__(self) -> str:
        lines = [f"old {self.old}", *(base64.b64encode(node).decode() for node in self.proof)]
        return "".join(f"{line}\n" for line in lines) + f"\n{self.note}"

    @classmethod
    def parse(cls, body: str) -> "Submission":
        """Read the body of a request; raises `MalformedNote`."""
        head, separator, note = body.partition("\n\n")
        first, *lines = head.split("\n")
        old = _OLD.fullmatch(first)
        if not separator or old is None or len(lines) > MOST_PROOF_LINES:
            raise MalformedNote("a request is an old size, a proof, an empty line and a checkpoint")
        try:
            proof = tuple(base64.b64decode(line, validate=True) for line in lines)
        except ValueError:
            proof = (b"",)
        if any(len(node) != HASH_BYTES for node in proof):
            raise MalformedNote("a line of a proof is the base64 of 32 bytes")
        return cls(int(old[1]), proof, Note.parse(note))


class Witness:
    """One witness: its key, the logs that it knows, and the file that it remembers in."""

    def __init__(
        self, signer: Signer, logs: Mapping[str, Verifier], state: Path, *, now: Callable[[], int]
    ) -> None:
        """`signer` has a key for cosignatures, `logs` are by origin, and `now` gives POSIX seconds."""
        self._signer = signer
        self._logs = logs
        self._state = state
        self._now = now
        self._known: dict[str, Checkpoint] = {
            origin: Checkpoint(origin, held["size"], base64.b64decode(held["root"]))
            for origin, held in (json.loads(state.read_text()) if state.exists() else {}).items()
        }

    def add_checkpoint(self, body: str) -> str:
        """Remember a checkpoint and return the line of its cosignature; raises `WitnessRefused`."""
        try:
            submission = Submission.parse(body)
            checkpoint = Checkpoint.parse(submission.note.text)
        except MalformedNote as error:
            raise WitnessRefused(400, f"{error}\n") from None
        log = self._logs.get(checkpoint.origin)
        if log is None:
            raise WitnessRefused(404, "This log is not known here.\n")
        try:
            verify_any(submission.note, [log])
        except UntrustedNote as error:
            raise WitnessRefused(403, f"{error}\n") from None
        self._check(submission, checkpoint)
        self._remember(checkpoint)
        return self._signer.cosign(submission.note.text, self._now()).line

    def _check(self, submission: Submission, checkpoint: Checkpoint) -> None:
        if submission.old > checkpoint.size:
            raise WitnessRefused(
                400, f"The checkpoint has {checkpoint.size} leaves, and the old size is {submission.old}.\n"
            )
        known = self._known.get(checkpoint.origin) or Checkpoint(checkpoint.origin, 0, EMPTY_ROOT)
        if submission.old != known.size:
            raise WitnessRefused(409, f"{known.size}\n", is_size=True)
        if checkpoint.size == known.size and checkpoint.root != known.root:
            raise WitnessRefused(409, f"{known.size}\n", is_size=True)
        try:
            verify_consistency(
                known.size, checkpoint.size, submission.proof, old_root=known.root, root=checkpoint.root
            )
        except InvalidProof as error:
            raise WitnessRefused(422, f"{error}\n") from None

    def _remember(self, checkpoint: Checkpoint) -> None:
        """Write the file anew before anything is said about the checkpoint."""
        known = {**self._known, checkpoint.origin: checkpoint}
        text = json.dumps(
            {
                origin: {"size": held.size, "root": base64.b64encode(held.root).decode()}
                for origin, held in known.items()
            },
            indent=1,
        )
        draft = self._state.with_name(self._state.name + ".new")
        with draft.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._state)
        folder = os.open(self._state.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._known = known

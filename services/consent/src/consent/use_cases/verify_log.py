"""Verify the log: every leaf against its row, the tree, every checkpoint, and those that somebody kept."""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import jwt

from consent.repositories.log_reader import LogReader
from consent.transparency.audit import Audit, Finding, StoredCheckpoint
from consent.transparency.checkpoint import Checkpoint
from consent.transparency.note import MalformedNote, Note, Verifier

ListStored = Callable[[], Awaitable[set[int]]]


@dataclass(frozen=True)
class Verified:
    """How much was gone through, and what does not hold."""

    leaves: int
    checkpoints: int
    findings: Sequence[Finding]


async def verify_log(
    reader: LogReader,
    *,
    verifiers: Sequence[Verifier],
    public_keys: Mapping[str, jwt.PyJWK] | None = None,
    kept: Mapping[str, str] | None = None,
) -> Verified:
    """Go through the log once; `kept` are the texts of checkpoints by the names of their files."""
    audit = Audit(verifiers, await reader.nodes(), public_keys)
    stored = aiter(reader.checkpoints())
    due = await anext(stored, None)
    waiting = deque(sorted((_size(text), name, text) for name, text in (kept or {}).items()))
    async for batch in reader.leaves():
        for leaf in batch:
            audit.add(leaf)
            while due is not None and (due.size or 0) <= audit.size:
                audit.check(due)
                due = await anext(stored, None)
            while waiting and waiting[0][0] <= audit.size:
                _, name, text = waiting.popleft()
                audit.check(StoredCheckpoint(text), kept_as=name)
    while due is not None:
        audit.check(due)
        due = await anext(stored, None)
    for _, name, text in waiting:
        audit.check(StoredCheckpoint(text), kept_as=name)
    for row in await reader.unsealed():
        audit.add_unsealed(row)
    return Verified(audit.size, audit.checkpoints, audit.findings())


async def find_lost_checkpoints(reader: LogReader, list_stored: ListStored) -> list[Finding]:
    """Return which checkpoints were brought into the object store and are not there any more."""
    # Listed after the snapshot is taken: what was stored by then must be in the list.
    archived = await reader.archived()
    stored = await list_stored()
    return [
        Finding(None, f"the checkpoint of {size} leaves is gone from the object store")
        for size in archived
        if size not in stored
    ]


def _size(text: str) -> int:
    """Return the size that a checkpoint says; what is none is looked at first, and refused there."""
    try:
        return Checkpoint.parse(Note.parse(text).text).size
    except MalformedNote:
        return 0

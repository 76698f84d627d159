"""What shows that somebody has changed the log or its ledger, leaf by leaf; pure, in one pass.

Whoever owns the schema can change every row, but can sign nothing: what contradicts a signed checkpoint is
found between it and the last one that holds, and what contradicts its leaf is found by the leaf.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from consent.transparency.checkpoint import Checkpoint
from consent.transparency.keys import CHECKPOINT_TYPE
from consent.transparency.merkle import CompactRange
from consent.transparency.note import MalformedNote, Note, UntrustedNote, Verifier, verify_any
from consent.transparency.tiles import HEIGHT, WIDTH

_JWS_CLAIMS = ("origin", "tree_size", "root_hash")


@dataclass(slots=True)
class StoredLeaf:
    """A leaf as it is stored, and the hash of what its row says now: None when the row is gone.

    `holds` tells whether the personal fields are those that were committed to, or are blank.
    """

    index: int
    hash: bytes
    row: str
    computed: bytes | None
    holds: bool = True


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint as it is stored, or as somebody has kept it; `jws` and the rest stand in stored ones."""

    note: str
    jws: str | None = None
    size: int | None = None
    root: bytes | None = None


@dataclass(frozen=True)
class Finding:
    """Something that does not hold; `leaf` is the first leaf that it is about."""

    leaf: int | None
    words: str

    def __str__(self) -> str:
        return self.words if self.leaf is None else f"leaf {self.leaf}: {self.words}"


class Audit:
    """Goes through the leaves in their order, and through the checkpoints as the tree reaches them."""

    def __init__(
        self,
        verifiers: Sequence[Verifier],
        nodes: Mapping[tuple[int, int], bytes],
        public_keys: Mapping[str, jwt.PyJWK] | None = None,
    ) -> None:
        """Take the keys of the log, the roots of full tiles by level and index, and ES256 keys by `kid`."""
        self._verifiers = verifiers
        self._nodes = nodes
        self._public_keys = public_keys or {}
        self._tree = CompactRange()
        self._held = 0
        self._broken = False
        self._changed: dict[bytes, StoredLeaf] = {}
        self._found: list[Finding] = []
        self.checkpoints = 0

    @property
    def size(self) -> int:
        """How many leaves were gone through."""
        return self._tree.size

    def add(self, leaf: StoredLeaf) -> None:
        """Look at the next leaf."""
        if leaf.index != self._tree.size:
            self._find(self._tree.size, f"is missing, with all before leaf {leaf.index}")
            self._broken = True
            while self._tree.size < leaf.index:
                self._tree.append(b"\x00" * len(leaf.hash))
        if leaf.computed is None:
            self._find(leaf.index, f"{leaf.row} is gone")
        elif leaf.computed != leaf.hash:
            self._changed[leaf.hash] = leaf
        elif not leaf.holds:
            self._find(leaf.index, f"the personal fields of {leaf.row} are not those that it commits to")
        for level, index, node in self._tree.append(leaf.hash):
            if level % HEIGHT == 0 and not self._broken:
                self._check_node(level // HEIGHT, index, node)

    def _check_node(self, level: int, index: int, node: bytes) -> None:
        if self._nodes.get((level, index)) != node:
            width = WIDTH**level
            self._find(
                index * width, f"up to leaf {(index + 1) * width - 1} a leaf is not the one that was sealed"
            )

    def check(self, stored: StoredCheckpoint, *, kept_as: str | None = None) -> None:
        """Look at a checkpoint whose size the tree has, or will never have; `kept_as` names a file."""
        self.checkpoints += 1
        try:
            note = Note.parse(stored.note)
            checkpoint = Checkpoint.parse(note.text)
            verify_any(note, self._verifiers)
        except (MalformedNote, UntrustedNote) as error:
            self._find(None, f"the checkpoint {kept_as or stored.size} is not signed by the log: {error}")
            return
        if kept_as is None and (checkpoint.size, checkpoint.root) != (stored.size, stored.root):
            self._find(None, f"the checkpoint {stored.size} is not the one that was signed")
        if stored.jws is not None and not self._says_the_same(stored.jws, checkpoint):
            self._find(None, f"the JWS of the checkpoint {checkpoint.size} does not say what its note says")
        self._compare(checkpoint, kept_as)

    def _compare(self, checkpoint: Checkpoint, kept_as: str | None) -> None:
        where = f"the kept checkpoint {kept_as}" if kept_as else f"the checkpoint of {checkpoint.size} leaves"
        if checkpoint.size > self._tree.size:
            self._find(self._tree.size, f"is missing, with all up to leaf {checkpoint.size - 1} of {where}")
        elif self._tree.root() == checkpoint.root:
            self._held = max(self._held, checkpoint.size)
        elif not self._broken:
            self._broken = True
            self._find(
                self._held, f"from here up to leaf {checkpoint.size - 1} the tree is not that of {where}"
            )

    def _says_the_same(self, token: str, checkpoint: Checkpoint) -> bool:
        if not self._public_keys:
            return True
        try:
            header = jwt.get_unverified_header(token)
            key = self._public_keys[header["kid"]]
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=["ES256"], options={"verify_iat": False}
            )
        except (jwt.PyJWTError, KeyError):
            return False
        said = tuple(claims.get(name) for name in _JWS_CLAIMS)
        root = base64.b64encode(checkpoint.root).decode()
        return header.get("typ") == CHECKPOINT_TYPE and said == (checkpoint.origin, checkpoint.size, root)

    def add_unsealed(self, row: str) -> None:
        """Note a row that is in no leaf, and does not wait to be."""
        self._find(None, f"{row} is in no leaf")

    def findings(self) -> list[Finding]:
        """Return what does not hold, by leaf; entries that have changed places are told from edited ones."""
        moved = {leaf.computed: leaf for leaf in self._changed.values()}
        for sealed, leaf in self._changed.items():
            other = self._changed.get(leaf.computed or b"")
            if other is not None and sealed in moved:
                words = f"{leaf.row} stands in the place of leaf {other.index}"
            else:
                words = f"{leaf.row} does not say what was sealed"
            self._find(leaf.index, words)
        self._changed.clear()
        return sorted(self._found, key=lambda found: (found.leaf is None, found.leaf or 0))

    def _find(self, leaf: int | None, words: str) -> None:
        self._found.append(Finding(leaf, words))

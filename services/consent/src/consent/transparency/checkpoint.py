"""Checkpoints: the size and the root of the tree at a moment, signed (C2SP tlog-checkpoint)."""

import base64
import re
from dataclasses import dataclass

from consent.transparency.merkle import HASH_BYTES
from consent.transparency.note import MalformedNote

_SIZE = re.compile(r"0|[1-9]\d{0,18}")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says: whose tree, of how many leaves, with which root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read the text of a note; lines after the third are passed over. Raises `MalformedNote`."""
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]) or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004
            raise MalformedNote("a checkpoint has an origin, a size and a root")
        try:
            root = base64.b64decode(lines[2], validate=True)
        except ValueError:
            root = b""
        if len(root) != HASH_BYTES:
            raise MalformedNote("the root of a checkpoint is the base64 of 32 bytes")
        return cls(lines[0], int(lines[1]), root)

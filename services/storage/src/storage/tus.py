"""The words of tus 1.0.0, the protocol of uploads that go on after a break (tus.io, resumable uploads).

Spoken are the core and the extensions of `EXTENSIONS`. Pieces may be checked by `ALGORITHMS`; SHA-1 is among
them because every server of the protocol has to know it, and it protects nothing here.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import Final, Protocol, Self

from chassis.problems import Problem

VERSION: Final = "1.0.0"
EXTENSIONS: Final = ("creation", "creation-with-upload", "expiration", "termination", "checksum")
PIECE_TYPE: Final = "application/offset+octet-stream"
SPOKEN: Final = {"Tus-Resumable": VERSION}


class VersionNotSpoken(Problem, status=412, title="Another version of the protocol"):
    """The request does not say that it is in the version that is spoken here."""

    detail = f"Send Tus-Resumable: {VERSION}."
    headers: Mapping[str, str] = {"Tus-Version": VERSION}


class UploadHeaderNotRead(Problem, status=400, title="A header of the upload can't be read"):
    """A header of the protocol has another form than that, or asks for what is not offered."""

    detail = "Send the headers of the upload as tus 1.0.0 writes them."


class NotAPiece(Problem, status=415, title="Not a piece of an upload"):
    """The bytes of an upload come as one media type only."""

    detail = f"Send the bytes with Content-Type: {PIECE_TYPE}."


class OffsetDiffers(Problem, status=409, title="The upload goes on elsewhere"):
    """The piece does not begin where the upload has come to."""

    detail = "Ask with HEAD how far the upload is, and send the bytes that follow."

    @classmethod
    def at(cls, offset: int) -> Self:
        """Return the refusal that says where the upload goes on."""
        return cls(headers={"Upload-Offset": str(offset)})


class ChecksumMismatch(Problem, status=460, title="The piece was changed on its way"):
    """The checksum of the piece is not the one that was sent; nothing of the piece was kept."""

    detail = "The bytes differ from their checksum. Nothing of them was kept; send them again."


class TooManyPieces(Problem, status=400, title="The upload has too many pieces"):
    """The upload came in so many small pieces that no more of them are kept."""

    detail = "The upload came in too many small pieces. Begin it anew, with larger ones."


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


ALGORITHMS: Final[Mapping[str, Callable[[], _Hash]]] = {
    "sha1": partial(hashlib.sha1, usedforsecurity=False),
    "sha256": hashlib.sha256,
}


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a piece must hash to (extension `checksum`)."""

    algorithm: str
    digest: bytes

    @classmethod
    def parse(cls, header: str | None) -> Self | None:
        """Read `Upload-Checksum`: the name of an algorithm, a space, base64; raises `UploadHeaderNotRead`."""
        if header is None:
            return None
        algorithm, _, encoded = header.partition(" ")
        if algorithm not in ALGORITHMS:
            raise UploadHeaderNotRead(f"Upload-Checksum must be of {' or '.join(ALGORITHMS)}.")
        return cls(algorithm, _decoded(encoded, "Upload-Checksum"))

    def begun(self) -> _Hash:
        """Return what hashes the piece."""
        return ALGORITHMS[self.algorithm]()

    def verify(self, hashed: _Hash) -> None:
        """Raise `ChecksumMismatch` unless the piece hashed to what was announced."""
        if not hmac.compare_digest(self.digest, hashed.digest()):
            raise ChecksumMismatch


def read_metadata(header: str | None) -> dict[str, str]:
    """Read `Upload-Metadata`: names, and values in base64, by commas; raises `UploadHeaderNotRead`."""
    pairs = (pair.strip().partition(" ") for pair in (header or "").split(","))
    return {
        name: _decoded(value, "Upload-Metadata").decode("utf-8", "replace")
        for name, _, value in pairs
        if name
    }


def written_metadata(**values: str) -> str:
    """Return the value of `Upload-Metadata` that says these."""
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def written_date(moment: datetime) -> str:
    """Return the value of `Upload-Expires`: a date of RFC 9110 §5.6.7."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _decoded(text: str, header: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise UploadHeaderNotRead(f"{header} is not in base64.") from None

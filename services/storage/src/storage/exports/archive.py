"""A ZIP archive that is written from front to back, and can be gone on with by whoever knows what is in it.

The standard library's `zipfile` writes to what can't be rewound (APPNOTE 4.3.9, data descriptors). Every file
is deflated, pictures without effort (level 0): readers of streams can tell where a file ends only then.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, cast
from uuid import UUID

PACKED = 6
AS_IS = 0
_DATA_DESCRIPTOR = 0x08
_FILE_MODE = 0o644 << 16
_EARLIEST_YEAR = 1980


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file that is whole in the archive; sizes and offset in bytes, `sha256` of its content in hex."""

    name: str
    offset: int
    bytes: int
    packed_bytes: int
    crc: int
    sha256: str
    photo_id: UUID | None = None


class _Sink:
    """What `zipfile` writes to: it counts from where the archive was left, and can't go back."""

    def __init__(self, position: int) -> None:
        self._position = position
        self.waiting = bytearray()

    def write(self, data: bytes) -> int:
        self.waiting += data
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Do nothing: what waits is taken by `take`."""


class ArchiveWriter:
    """Writes one archive, or goes on with one of which `written` files are whole in `position` bytes."""

    def __init__(self, at: datetime, *, position: int = 0, written: Sequence[ArchivedFile] = ()) -> None:
        """`at` dates every file, so that the same files make the same archive."""
        self._at = (max(at.year, _EARLIEST_YEAR), at.month, at.day, at.hour, at.minute, at.second)
        self._sink = _Sink(position)
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self._sink), "w")
        self._zip.filelist += [self._directory_entry(file) for file in written]
        self._handle: IO[bytes] | None = None
        self._name = ""
        self._digest = hashlib.sha256()

    @property
    def waiting(self) -> int:
        """How many bytes wait to be taken."""
        return len(self._sink.waiting)

    @property
    def position(self) -> int:
        """How many bytes the archive has so far."""
        return self._sink.tell()

    def begin(self, name: str, *, level: int) -> None:
        """Begin a file of less than 2 GiB."""
        info = self._info(name)
        # Python 3.13 has a public name for it, and keeps this one.
        info._compresslevel = level  # type: ignore[attr-defined]  # noqa: SLF001
        self._name, self._digest = name, hashlib.sha256()
        self._handle = self._zip.open(info, "w")

    def write(self, piece: bytes) -> None:
        """Add to the file that was begun."""
        self._writing.write(piece)
        self._digest.update(piece)

    def end(self, *, photo_id: UUID | None = None) -> ArchivedFile:
        """End the file that was begun, and say what it became."""
        self._writing.close()
        self._handle = None
        info = self._zip.filelist[-1]
        return ArchivedFile(
            name=self._name,
            offset=info.header_offset,
            bytes=info.file_size,
            packed_bytes=info.compress_size,
            crc=info.CRC,
            sha256=self._digest.hexdigest(),
            photo_id=photo_id,
        )

    def take(self) -> bytes:
        """Return what waits, which waits no longer."""
        taken = bytes(self._sink.waiting)
        self._sink.waiting.clear()
        return taken

    def finish(self) -> None:
        """Write the directory, which ends the archive."""
        self._zip.close()

    def leave(self) -> None:
        """Leave the archive as it is: somebody goes on later."""
        if self._handle is not None:
            self._handle.close()
        # Closed or collected, it would write a directory.
        self._zip.fp = None

    @property
    def _writing(self) -> IO[bytes]:
        if self._handle is None:
            raise RuntimeError("begin a file first")
        return self._handle

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self._at)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = _FILE_MODE
        return info

    def _directory_entry(self, file: ArchivedFile) -> zipfile.ZipInfo:
        info = self._info(file.name)
        info.flag_bits = _DATA_DESCRIPTOR
        info.header_offset, info.CRC = file.offset, file.crc
        info.file_size, info.compress_size = file.bytes, file.packed_bytes
        return info


def pieces_of(content: bytes, *, size: int = 1 << 20) -> Iterator[bytes]:
    """Cut content into pieces, so that parts of an archive stay small."""
    for begin in range(0, len(content), size):
        yield content[begin : begin + size]

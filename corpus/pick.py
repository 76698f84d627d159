"""Picks the pictures out of the archives, without unpacking them."""

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from corpus.packages import Package

_TYPES: Final = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".mpo": "image/jpeg",
    ".png": "image/png",
    ".apng": "image/png",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".heif": "image/heic",
    ".hif": "image/heic",
    ".avif": "image/avif",
}
_AVIF_BRANDS: Final = (b"avif", b"avis")


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture file, and the type that an app would send it as."""

    package: Package
    path: str
    declared: str
    body: bytes

    @property
    def name(self) -> str:
        """The file's place in the whole corpus."""
        return f"{self.package.name}/{self.path}"


def pick(archives: Mapping[Package, Path]) -> list[Sample]:
    """Return every picture of the test suites once, however often its bytes occur."""
    seen: set[bytes] = set()
    samples: list[Sample] = []
    for package, archive in archives.items():
        for sample in _pictures(package, archive):
            digest = hashlib.sha256(sample.body).digest()
            if sample.body and digest not in seen:
                seen.add(digest)
                samples.append(sample)
    return samples


def _pictures(package: Package, archive: Path) -> Iterator[Sample]:
    with tarfile.open(archive) as opened:
        for member in opened:
            path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            extension = path.suffix.lower()
            in_tests = any(path.is_relative_to(folder) for folder in package.folders)
            if not (member.isfile() and in_tests and extension in _TYPES):
                continue
            source = opened.extractfile(member)
            if source is not None:
                body = source.read()
                yield Sample(package, str(path), _declared(body, extension), body)


def _declared(body: bytes, extension: str) -> str:
    """Name the type by the first bytes, as phones and browsers do, else by the file's name."""
    if body.startswith(b"\xff\xd8"):
        return "image/jpeg"
    if body.startswith(b"\x89PNG"):
        return "image/png"
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    if body[4:8] == b"ftyp":
        return "image/avif" if body[8:12] in _AVIF_BRANDS else "image/heic"
    return _TYPES[extension]

"""The parts of an upload that has not arrived whole: each is an object of its own, sealed like a photo.

A photo's row lists its parts in order, two numbers for each: how many bytes it has, and which attempt wrote
it. A part of an attempt that was given up is in no list, whatever lies in the bucket.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from storage.models import Photo
from storage.sealing import ObjectLabel

PART_BYTES: Final = 4 * 1024 * 1024
"""How many bytes of an upload are in memory before they are sealed and stored."""
MOST_PARTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Part:
    """Where in the upload a part begins, in bytes, and what is needed to find and open it.

    `folder` is that of the photo's parts.
    """

    owner: UUID
    photo_id: UUID
    folder: str
    attempt: int
    begin: int
    size: int

    @property
    def end(self) -> int:
        """Where the next part begins."""
        return self.begin + self.size

    @property
    def name(self) -> str:
        """Its name among the photo's parts; none is the beginning of another one."""
        return f"{self.attempt}-{self.begin:010}"

    @property
    def key(self) -> str:
        """The key of its object."""
        return f"{self.folder}{self.name}"

    @property
    def label(self) -> ObjectLabel:
        """What it is sealed as."""
        return ObjectLabel(self.owner, f"{self.photo_id}/parts/{self.name}", self.attempt)


def folder_of_parts(folder: str) -> str:
    """Return the prefix of the parts in a photo's folder."""
    return f"{folder}parts/"


def parts_of(photo: Photo) -> list[Part]:
    """Return the parts that have arrived, in order."""
    parts, numbers, begin = list[Part](), iter(photo.upload_parts or ()), 0
    folder = folder_of_parts(photo.folder)
    for size, attempt in zip(numbers, numbers, strict=True):
        parts.append(Part(photo.user_id, photo.id, folder, attempt, begin, size))
        begin += size
    return parts


def listed(parts: Iterable[Part]) -> list[int]:
    """Return parts as a photo's row lists them."""
    return [number for part in parts for number in (part.size, part.attempt)]


def arrived(photo: Photo) -> int:
    """Return how many bytes of an upload are safe: all of them once the photo is there."""
    return photo.received_bytes or sum((photo.upload_parts or ())[::2])

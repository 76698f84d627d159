"""What lies in a bucket, as a listing tells."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """A version of an object, or a delete marker: its key, its version, and when it was written."""

    key: str
    version: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is under a prefix: current objects, all versions with delete markers, unfinished uploads."""

    objects: int
    versions: int
    uploads: int

    @property
    def total(self) -> int:
        """Everything that would have to be deleted; a current object is one of the versions."""
        return max(self.objects, self.versions) + self.uploads

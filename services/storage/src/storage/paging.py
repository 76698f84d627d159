"""Where in a list of photos a page begins: a place in the order, good even when the photo there is gone."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self
from uuid import UUID

PLACE: Final = r"^[0-9]{1,16}-[0-9a-f]{32}$"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Place:
    """One place in the order by creation; photos of the same moment are ordered by their ids."""

    created_at: datetime
    photo_id: UUID

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` has written, of the form `PLACE`."""
        microseconds, _, photo_id = text.partition("-")
        return cls(_EPOCH + int(microseconds) * _MICROSECOND, UUID(photo_id))

    def __str__(self) -> str:
        return f"{(self.created_at - _EPOCH) // _MICROSECOND}-{self.photo_id.hex}"

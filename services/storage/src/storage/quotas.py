"""How much one person may have and send, and how what is used stands to it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from storage.policy import SpaceUsedUp, TooManyPhotos, TooManyUploads


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits of one person: photos, bytes of photos as they were received, uploads begun on one day."""

    photos: int
    bytes: int
    uploads_per_day: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What of it one person uses: photos that have arrived, their bytes, uploads begun today (UTC)."""

    photos: int
    bytes: int
    uploads_today: int

    def refuse(self, quota: Quota, *, more_bytes: int, resets_at: datetime) -> None:
        """Raise what names the limit that an upload of so many bytes meets, if it meets one."""
        if self.uploads_today >= quota.uploads_per_day:
            raise TooManyUploads.of(quota.uploads_per_day, self.uploads_today, resets_at=resets_at)
        if self.photos >= quota.photos:
            raise TooManyPhotos.of(quota.photos, self.photos)
        if self.bytes + more_bytes > quota.bytes:
            raise SpaceUsedUp.of(quota.bytes, self.bytes)


def day_of(moment: datetime) -> date:
    """Return the day that an upload at that moment counts for."""
    return moment.astimezone(UTC).date()


def end_of_day(moment: datetime) -> datetime:
    """Return when the next day begins."""
    return datetime.combine(day_of(moment) + timedelta(days=1), time(), UTC)

"""Every query about how much one person uses of their limits."""

from datetime import date
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Date, Select, Table, Uuid, bindparam, func, select, update

from chassis import scripts
from chassis.db import UnitOfWork
from chassis.repository import Repository
from storage.models import Photo, UsageCount
from storage.quotas import Quota, Usage

_COUNTS = cast("Table", UsageCount.__table__)
_PHOTOS = cast("Table", Photo.__table__)


def _usage() -> Select[Any]:
    person = bindparam("person", type_=Uuid)
    begun = (
        select(_COUNTS.c.begun)
        .where(_COUNTS.c.user_id == person, _COUNTS.c.day == bindparam("day", type_=Date))
        .scalar_subquery()
    )
    bytes_kept = func.coalesce(func.sum(_PHOTOS.c.received_bytes), 0)
    return select(func.count(), bytes_kept, func.coalesce(begun, 0)).where(
        _PHOTOS.c.user_id == person, _PHOTOS.c.received_at.is_not(None)
    )


_USAGE = _usage()


def begun_within(quota: Quota, *, day: date, more_bytes: int, people: str) -> str:
    """Return the statement that counts an upload for everybody whom `people` selects, within the limits.

    It returns those who were counted. Photos and bytes are those that were counted when they arrived: never
    fewer than there are, but more where some were deleted since; `Usages.recount` puts that right.
    """
    table = _COUNTS.fullname
    # Every value is a number or a date.
    return (
        f"INSERT INTO {table} AS known (user_id, day, begun, photos, bytes)"  # noqa: S608
        f" SELECT user_id, DATE '{day.isoformat()}', 1, 0, 0 FROM {people}"
        " ON CONFLICT (user_id) DO UPDATE SET day = excluded.day,"
        " begun = CASE WHEN known.day = excluded.day THEN known.begun + 1 ELSE 1 END"
        f" WHERE known.photos < {quota.photos:d} AND known.bytes + {more_bytes:d} <= {quota.bytes:d}"
        f" AND (known.day <> excluded.day OR known.begun < {quota.uploads_per_day:d})"
        " RETURNING known.user_id"
    )


def count_arrived(uow: UnitOfWork, user_id: UUID, size: int) -> None:
    """Let a photo of so many bytes be counted with the commit."""
    uow.before_commit.append(
        f"UPDATE {_COUNTS.fullname} SET photos = photos + 1, bytes = bytes + {size:d}"  # noqa: S608
        f" WHERE user_id = {scripts.literal(user_id)}"
    )


class Usages(Repository):
    """What is used of the limits of people."""

    async def of(self, user_id: UUID, *, day: date) -> Usage:
        """Return what is used now, of `day` the uploads that were begun, in one round trip."""
        photos, size, begun = (await self._session.execute(_USAGE, {"person": user_id, "day": day})).one()
        return Usage(photos, int(size), begun)

    async def recount(self, user_id: UUID, usage: Usage) -> None:
        """Keep what was counted anew."""
        await self._session.execute(
            update(UsageCount)
            .where(UsageCount.user_id == user_id)
            .values(photos=usage.photos, bytes=usage.bytes)
        )

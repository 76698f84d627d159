"""Every query about what must not be destroyed yet, and about the photos that nobody but a hold keeps."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.holds import Hold
from chassis.repository import Repository
from chassis.tables import Moment
from storage.models import ConsentGate, Photo, StandingHold

KIND = "photos"
REMEMBERED = timedelta(days=30)
"""How long an ended hold is known, so that a late message does not begin it again."""
_HOLDS, _PHOTOS = cast("Table", StandingHold.__table__), cast("Table", Photo.__table__)


def is_held(now: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return whether a hold keeps a photo: a confirmed one, as holds of erasures do."""
    hold, photo = _HOLDS.c, _PHOTOS.c
    in_force = and_(hold.ended_at.is_(None), hold.expires_at > now)
    of_photo = and_(hold.kind == KIND, or_(hold.record.is_(None), hold.record == photo.id))
    found = select(hold.hold_id).where(hold.user_id == photo.user_id, of_photo, in_force)
    return and_(photo.confirmed_at.is_not(None), found.correlate(_PHOTOS).exists())


class StandingHolds(Repository):
    """Holds on people who have not asked to be erased."""

    async def keep(self, user_id: UUID, hold: Hold, *, ended_at: datetime | None, now: datetime) -> None:
        """Note a hold, or its end, which nothing takes back; nothing of somebody who has never agreed."""
        gate = ConsentGate.__table__.c
        said = {**vars(hold), "ended_at": ended_at, "heard_at": now}
        row = select(
            gate.user_id, *(literal(value, _HOLDS.c[name].type).label(name) for name, value in said.items())
        ).where(gate.user_id == user_id)
        noted = insert(_HOLDS).from_select(["user_id", *said], row)
        ends = func.coalesce(_HOLDS.c.ended_at, noted.excluded.ended_at)
        await self._session.execute(
            noted.on_conflict_do_update(index_elements=["hold_id"], set_={"ended_at": ends})
        )

    async def end_others(self, than: Collection[UUID], *, heard_by: datetime, now: datetime) -> None:
        """End what was heard by then and is not among those that are in force."""
        await self._session.execute(
            update(_HOLDS)
            .where(_HOLDS.c.hold_id.not_in(than), _HOLDS.c.ended_at.is_(None), _HOLDS.c.heard_at < heard_by)
            .values(ended_at=now)
        )

    async def let_go_of(self, *, now: datetime, limit: int) -> Sequence[UUID]:
        """Return the people of whom something was kept by a hold that has ended."""
        found = select(Photo.user_id).where(Photo.released_for.is_not(None), ~is_held(literal(now, Moment)))
        return (await self._session.scalars(found.distinct().limit(limit))).all()

    async def lock_let_go_of(self, user_id: UUID, *, now: datetime) -> Sequence[Photo]:
        """Return the photos of a person that a hold has kept and keeps no more."""
        found = select(Photo).where(
            Photo.user_id == user_id, Photo.released_for.is_not(None), ~is_held(literal(now, Moment))
        )
        return (await self._session.scalars(found.with_for_update())).all()

    async def forget(self, *, now: datetime) -> None:
        """Delete what has ended long ago."""
        ended = func.coalesce(_HOLDS.c.ended_at, _HOLDS.c.expires_at)
        await self._session.execute(delete(_HOLDS).where(ended < now - REMEMBERED))

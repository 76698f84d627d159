"""Every query about photos whose consent has ended: they go, or wait behind a closed gate for a new yes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    String,
    Table,
    Uuid,
    and_,
    bindparam,
    delete,
    func,
    literal,
    null,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from chassis.repository import Repository
from chassis.tables import Moment
from contracts.fields import PhotoDeletionReason
from storage.models import ConsentGate, Photo
from storage.repositories.destructions import DESTRUCTIONS
from storage.repositories.standing_holds import is_held

BATCH = 100
FOLDER_OF_PHOTO = "^[^/]+/[^/]+/"
CLOSED_FOR = timedelta(minutes=5)
"""How long the link of an upload whose consent has ended still says so."""
_PHOTOS = cast("Table", Photo.__table__)


def _resting() -> ColumnElement[bool]:
    photo = _PHOTOS.c
    return and_(
        photo.user_id == bindparam("person", type_=Uuid),
        photo.consent_epoch <= bindparam("ended", type_=BigInteger),
    )


def _closed() -> CTE:
    photo, closing = _PHOTOS.c, bindparam("closing", type_=Moment)
    return (
        update(_PHOTOS)
        .where(_resting(), photo.received_at.is_(None), photo.closed_at.is_(None))
        .values(
            closed_at=closing,
            # What an attempt may still be writing is swept when the link is over, so it is over soon.
            upload_expires_at=func.least(photo.upload_expires_at, closing + CLOSED_FOR),
        )
        .returning(photo.s3_key, photo.upload_length)
        .cte("closed")
    )


def _ordered(*gone: Select[Any], closed: CTE) -> Select[Any]:
    """Return the statement that orders the destruction of what is gone, and of parts that were closed."""
    # Of an upload in pieces some may have arrived; nobody is told of their end, because nobody heard of them.
    parts = select(
        closed.c.s3_key,
        null().cast(Uuid).label("user_id"),
        null().cast(Uuid).label("photo_id"),
        null().cast(String).label("reason"),
    ).where(closed.c.upload_length.is_not(None))
    every = union_all(*gone, parts).subquery("gone")
    folder = func.substring(every.c.s3_key, FOLDER_OF_PHOTO)
    ordered = (
        insert(DESTRUCTIONS)
        .from_select(
            ["id", "prefix", "user_id", "photo_id", "reason"],
            select(func.gen_random_uuid(), folder, every.c.user_id, every.c.photo_id, every.c.reason),
        )
        .returning(DESTRUCTIONS.c.id)
        .cte("ordered")
    )
    return select(func.count()).select_from(ordered).add_cte(closed)


def _release() -> Select[Any]:
    photo, closing, reason = _PHOTOS.c, bindparam("closing", type_=Moment), bindparam("reason", type_=String)
    held = is_held(closing)
    # What a law wants kept is as gone for everybody as the rest, and is destroyed when the hold ends.
    kept = (
        update(_PHOTOS)
        .where(_resting(), held, photo.released_for.is_(None))
        .values(closed_at=func.coalesce(photo.closed_at, closing), destroy_at=null(), released_for=reason)
        .returning(photo.id)
        .cte("kept")
    )
    taken = (
        delete(_PHOTOS)
        .where(_resting(), photo.received_at.is_not(None), ~held)
        .returning(_PHOTOS.c.id, _PHOTOS.c.user_id, _PHOTOS.c.s3_key)
        .cte("taken")
    )
    gone = select(taken.c.s3_key, taken.c.user_id, taken.c.id.label("photo_id"), reason.label("reason"))
    return _ordered(gone, closed=_closed()).add_cte(kept)


def _put_off() -> Select[Any]:
    waiting = (
        update(_PHOTOS)
        .where(_resting(), _PHOTOS.c.received_at.is_not(None), _PHOTOS.c.closed_at.is_(None))
        .values(
            closed_at=bindparam("closing", type_=Moment), destroy_at=bindparam("destroying", type_=Moment)
        )
        .returning(_PHOTOS.c.id)
        .cte("waiting")
    )
    put_off = select(func.count()).select_from(waiting).scalar_subquery()
    return _ordered(closed=_closed()).add_columns(put_off)


_RELEASE, _PUT_OFF = _release(), _put_off()


class WithdrawnPhotos(Repository):
    """The photos of people whose consent to them has ended."""

    async def release(self, user_id: UUID, *, epoch: int, reason: PhotoDeletionReason, now: datetime) -> int:
        """Order the destruction of what rests on consents up to that epoch, and close what has not arrived.

        Returns how many folders are to be emptied. Rows of what has not arrived stay until their links are
        over, a few minutes at most, so that a link can still say why it is refused.
        """
        asked = {"person": user_id, "ended": epoch, "closing": now, "reason": reason.value}
        return int(await self._session.scalar(_RELEASE, asked) or 0)

    async def put_off(self, user_id: UUID, *, epoch: int, now: datetime, until: datetime) -> tuple[int, int]:
        """Close the same, and let what has arrived wait for its destruction until that moment.

        Returns how many folders are to be emptied at once, and how many photos wait from now on.
        """
        asked = {"person": user_id, "ended": epoch, "closing": now, "destroying": until}
        ordered, waiting = (await self._session.execute(_PUT_OFF, asked)).one()
        return ordered, waiting

    async def reopen(self, user_id: UUID, *, now: datetime) -> int:
        """Let photos that wait rest on the consent that holds the gate open, if one does; return how many."""
        gate = ConsentGate
        reopened = await self._session.scalars(
            update(Photo)
            .where(
                Photo.user_id == user_id,
                Photo.destroy_at > now,
                gate.user_id == Photo.user_id,
                gate.granted,
            )
            .values(
                closed_at=None,
                destroy_at=None,
                consent_id=gate.consent_id,
                consent_epoch=gate.epoch,
                updated_at=now,
            )
            .returning(Photo.id)
            .execution_options(synchronize_session=False)
        )
        return len(reopened.all())

    async def reopen_exports(self, user_id: UUID) -> None:
        """Let every archive of the person that was not fetched be made anew."""
        await self._session.execute(select(func.storage.reopen_exports_of([user_id])))

    async def lock_due(self, *, now: datetime) -> Sequence[Photo]:
        """Return photos that have waited long enough, and that no hold keeps."""
        statement = (
            select(Photo)
            .where(Photo.destroy_at <= now, ~is_held(literal(now, Moment)))
            .order_by(Photo.destroy_at)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        return (await self._session.scalars(statement)).all()

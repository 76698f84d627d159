"""Every query about photos."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Select,
    Table,
    Uuid,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from chassis.repository import Repository
from chassis.tables import Moment
from chassis.tombstones import is_buried
from storage.models import SCHEMA, ConsentGate, Photo, PhotoRead
from storage.paging import Place
from storage.repositories.standing_holds import is_held

BATCH = 100
_PHOTOS, _READS = cast("Table", Photo.__table__), cast("Table", PhotoRead.__table__)


def _stand(*, recorded: bool) -> Select[bool, bool]:
    gate, erased = cast("Table", ConsentGate.__table__), is_buried(SCHEMA)
    there = (
        select(_PHOTOS.c.id)
        .where(_PHOTOS.c.id == bindparam("photo", type_=Uuid), _PHOTOS.c.released_for.is_(None))
        .exists()
    )
    permitted = select(gate.c.user_id).where(
        gate.c.user_id == bindparam("person", type_=Uuid),
        gate.c.granted,
        gate.c.withdrawn_epoch < bindparam("begun", type_=BigInteger),
    )
    if not recorded:
        return select(and_(there, ~erased), permitted.exists())
    # The gate that permits it is held, so that an erasure takes the record as well, or comes before it.
    held = permitted.with_for_update(read=True, key_share=True).cte("held")
    kept = (
        insert(_READS)
        .from_select(
            [column.name for column in _READS.c],
            select(*(bindparam(f"read_{column.name}", type_=column.type) for column in _READS.c)).where(
                there, ~erased, select(held).exists()
            ),
        )
        .returning(_READS.c.id)
        .cte("kept")
    )
    return select(and_(there, ~erased), select(held).exists()).add_cte(kept)


_STAND, _STAND_AND_RECORD = _stand(recorded=False), _stand(recorded=True)


class Standing(Enum):
    """Whether a photo may be shown: not one that is gone, nor one whose consent has ended."""

    SHOWN = auto()
    GONE = auto()
    NOT_PERMITTED = auto()


@dataclass(frozen=True, slots=True)
class KeptPhoto:
    """A photo whose bytes have arrived: where its original is, since when, and when it was found lost."""

    id: UUID
    s3_key: str
    received_at: datetime
    lost_at: datetime | None


class Photos(Repository):
    """Photos, and the uploads that they begin as."""

    async def find(self, photo_id: UUID) -> Photo | None:
        """Return the photo, whoever's it is."""
        return await self._session.get(Photo, photo_id)

    async def standing_of(
        self, photo: Photo, *, person_hash: str, record: PhotoRead | None = None
    ) -> Standing:
        """Tell how a photo that was found stands now, and keep the record if it may be shown; in one trip."""
        asked: dict[str, Any] = {
            "person": photo.user_id,
            "person_hash": person_hash,
            "photo": photo.id,
            "begun": photo.consent_epoch,
        }
        statement = _STAND
        if record is not None:
            statement = _STAND_AND_RECORD
            asked |= {f"read_{column.name}": getattr(record, column.name) for column in _READS.c}
        there, permitted = (await self._session.execute(statement, asked)).one()
        if not there:
            return Standing.GONE
        return Standing.SHOWN if permitted else Standing.NOT_PERMITTED

    async def of_person(self, user_id: UUID, photo_id: UUID) -> Photo | None:
        """Return the photo if it is that person's and was not closed."""
        return await self._session.scalar(self._theirs(user_id).where(Photo.id == photo_id))

    async def lock_of_person(self, user_id: UUID, photo_id: UUID) -> Photo | None:
        """Return the same, locked until the transaction ends."""
        return await self._session.scalar(self._theirs(user_id).where(Photo.id == photo_id).with_for_update())

    async def lock_to_delete(
        self, user_id: UUID, photo_id: UUID, *, now: datetime
    ) -> tuple[Photo, bool] | None:
        """Return the same, locked, and whether a hold keeps it."""
        held = is_held(literal(now, Moment)).label("held")
        found = self._theirs(user_id).add_columns(held).where(Photo.id == photo_id).with_for_update()
        row = (await self._session.execute(found)).one_or_none()
        return None if row is None else (row[0], row[1])

    async def lock(self, photo_id: UUID) -> Photo | None:
        """Return the photo, whoever's it is, locked until the transaction ends."""
        return await self._session.get(Photo, photo_id, with_for_update=True)

    async def newest_first(
        self, user_id: UUID, *, pending: bool, begin: Place | int, limit: int
    ) -> Sequence[Photo]:
        """Return a person's photos behind a place, or behind so many of them.

        Those without bytes are among them when `pending` ones are asked for.
        """
        statement = self._listed(user_id, pending=pending).order_by(Photo.created_at.desc(), Photo.id.desc())
        if isinstance(begin, Place):
            statement = statement.where(
                tuple_(Photo.created_at, Photo.id) < tuple_(begin.created_at, begin.photo_id)
            )
        else:
            statement = statement.offset(begin)
        return (await self._session.scalars(statement.limit(limit))).all()

    async def count_listed(self, user_id: UUID, *, pending: bool) -> int:
        """Return how many photos a person's list has, `pending` ones among them or not."""
        listed = self._listed(user_id, pending=pending).subquery()
        return int(await self._session.scalar(select(func.count()).select_from(listed)) or 0)

    async def end_attempt(self, photo_id: UUID, *, version: int) -> None:
        """Note that this upload attempt writes no more, unless a newer one has begun."""
        await self._session.execute(
            update(Photo)
            .where(Photo.id == photo_id, Photo.upload_attempts == version)
            .values(upload_lease_until=None)
        )

    async def mark_lost(self, photo_id: UUID, *, now: datetime) -> None:
        """Note that the bytes of a photo are not what was written."""
        await self._session.execute(update(Photo).where(Photo.id == photo_id).values(lost_at=now))

    async def kept_after(self, s3_key: str, *, limit: int) -> list[KeptPhoto]:
        """Return the photos with bytes whose originals come behind that key, by key."""
        kept = (
            select(Photo.id, Photo.s3_key, Photo.received_at, Photo.lost_at)
            .where(Photo.s3_key > s3_key, Photo.received_at.is_not(None))
            .order_by(Photo.s3_key)
            .limit(limit)
        )
        return [
            KeptPhoto(photo_id, key, received_at, lost_at)
            for photo_id, key, received_at, lost_at in await self._session.execute(kept)
            if received_at is not None
        ]

    async def kept_under(self, s3_keys: Collection[str]) -> Sequence[str]:
        """Return those of the keys of originals that a photo has."""
        return (await self._session.scalars(select(Photo.s3_key).where(Photo.s3_key.in_(s3_keys)))).all()

    async def begun_among(self, photo_ids: Collection[UUID]) -> Sequence[UUID]:
        """Return those of the ids that are of photos, with bytes or without."""
        return (await self._session.scalars(select(Photo.id).where(Photo.id.in_(photo_ids)))).all()

    async def forget_digests(self, *, link_over_by: datetime) -> None:
        """Forget the digests of uploads whose links were over by then."""
        await self._session.execute(
            update(Photo)
            .where(Photo.upload_digest.is_not(None), Photo.upload_expires_at <= link_over_by)
            .values(upload_digest=None)
        )

    async def lock_abandoned(self, *, link_over_by: datetime, received_by: datetime) -> Sequence[Photo]:
        """Return unconfirmed photos whose link was over by then, or whose bytes came too long ago."""
        statement = (
            select(Photo)
            .where(
                Photo.confirmed_at.is_(None),
                Photo.upload_expires_at <= link_over_by,
                or_(Photo.received_at.is_(None), Photo.received_at <= received_by),
            )
            .order_by(Photo.upload_expires_at)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        return (await self._session.scalars(statement)).all()

    async def remove(self, photo: Photo) -> None:
        """Delete the row; its objects are a matter of `Destructions`."""
        await self._session.delete(photo)

    def _listed(self, user_id: UUID, *, pending: bool) -> Select[Photo]:
        theirs = self._theirs(user_id)
        return theirs if pending else theirs.where(Photo.received_at.is_not(None))

    @staticmethod
    def _theirs(user_id: UUID) -> Select[Photo]:
        return select(Photo).where(Photo.user_id == user_id, Photo.closed_at.is_(None))

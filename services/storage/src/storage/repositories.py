"""Every query of storage."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    Uuid,
    bindparam,
    delete,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.ids import new_id
from contracts.fields import PhotoDeletionReason
from storage.models import ConsentGate, DataKey, Destruction, FeedPosition, Photo
from storage.paging import Place
from storage.sealing import WrappedKey

BATCH = 100
_EPOCHS = select(ConsentGate.user_id, ConsentGate.epoch, ConsentGate.withdrawn_epoch).where(
    ConsentGate.user_id == func.any(bindparam("people", type_=ARRAY(Uuid)))
)
DESTRUCTIONS = cast("Table", Destruction.__table__)


class Photos:
    """Photos, and the uploads that they begin as."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, photo: Photo) -> None:
        """Insert a photo."""
        self._session.add(photo)

    async def find(self, photo_id: UUID) -> Photo | None:
        """Return the photo, whoever's it is."""
        return await self._session.get(Photo, photo_id)

    async def of_person(self, user_id: UUID, photo_id: UUID) -> Photo | None:
        """Return the photo if it is that person's and was not closed."""
        return await self._session.scalar(self._theirs(user_id).where(Photo.id == photo_id))

    async def lock_of_person(self, user_id: UUID, photo_id: UUID) -> Photo | None:
        """Return the same, locked until the transaction ends."""
        return await self._session.scalar(self._theirs(user_id).where(Photo.id == photo_id).with_for_update())

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

    async def take_resting_on(self, user_id: UUID, *, epoch: int, now: datetime) -> Sequence[Photo]:
        """Remove and return the photos that rest on consents up to that epoch, and close those without bytes.

        Of those nothing biometric is there yet. Their rows stay until their links are over, so that a link
        can still say why it is refused.
        """
        resting = (Photo.user_id == user_id, Photo.consent_epoch <= epoch)
        await self._session.execute(
            update(Photo).where(*resting, Photo.received_at.is_(None)).values(closed_at=now)
        )
        statement = delete(Photo).where(*resting, Photo.received_at.is_not(None)).returning(Photo)
        return (await self._session.scalars(statement)).all()

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


class Gates:
    """What was heard of each person's biometric consent."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def hold(self, user_id: UUID, *, now: datetime) -> ConsentGate:
        """Return the person's gate, locked until the transaction ends; a new one is closed."""
        await self._session.execute(
            insert(ConsentGate)
            .values(user_id=user_id, epoch=0, granted=False, withdrawn_epoch=0, checked_at=now)
            .on_conflict_do_nothing()
        )
        found = await self._session.execute(
            select(ConsentGate)
            .where(ConsentGate.user_id == user_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return found.scalar_one()

    async def share(self, user_id: UUID) -> ConsentGate | None:
        """Return the gate, which nobody can change until the transaction ends."""
        return await self._session.scalar(
            select(ConsentGate).where(ConsentGate.user_id == user_id).with_for_update(read=True)
        )

    async def find(self, user_id: UUID) -> ConsentGate | None:
        """Return the gate as it is now."""
        return await self._session.get(ConsentGate, user_id)

    async def epochs_of(self, user_ids: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
        """Return the epochs of the last change and of the last end, for those who have a gate."""
        found = await self._session.execute(_EPOCHS, {"people": user_ids})
        return {user_id: (epoch, ended) for user_id, epoch, ended in found}

    async def open_longest_unchecked(self, *, before: datetime) -> Sequence[UUID]:
        """Return the people whose open gates were last compared with consent before then."""
        statement = (
            select(ConsentGate.user_id)
            .where(ConsentGate.granted, ConsentGate.checked_at < before)
            .order_by(ConsentGate.checked_at)
            .limit(BATCH)
        )
        return (await self._session.scalars(statement)).all()

    async def remove(self, user_id: UUID) -> None:
        """Forget the gate."""
        await self._session.execute(delete(ConsentGate).where(ConsentGate.user_id == user_id))


class FeedPositions:
    """How far the feed of changed consents was followed."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def current(self) -> int:
        """Return the position behind which nothing was taken over yet; 0 at the beginning."""
        return int(await self._session.scalar(select(FeedPosition.position)) or 0)

    async def move(self, position: int) -> None:
        """Keep a position."""
        fresh = insert(FeedPosition).values(feed="consents", position=position)
        await self._session.execute(
            fresh.on_conflict_do_update(index_elements=[FeedPosition.feed], set_={"position": position})
        )


class Destructions:
    """Folders of the bucket that must be emptied: the rows of a work table."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, prefix: str) -> Destruction:
        """Ask for a folder to be emptied."""
        row = Destruction(id=new_id(), prefix=prefix)
        self._session.add(row)
        return row

    def add_photo(self, photo: Photo, *, reason: PhotoDeletionReason) -> Destruction:
        """Ask for a photo's folder to be emptied, and for the announcement when it is."""
        row = self.add(photo.folder)
        row.user_id, row.photo_id, row.reason = photo.user_id, photo.id, reason.value
        return row

    async def sweep_later(self, prefix: str, *, after: Sequence[timedelta]) -> None:
        """Ask for bare sweeps of a folder, instead of those that were asked for before."""
        await self._session.execute(
            delete(Destruction).where(Destruction.prefix == prefix, Destruction.user_id.is_(None))
        )
        now = func.clock_timestamp()
        for pause in after:
            await self._session.execute(
                insert(Destruction).values(id=new_id(), prefix=prefix, next_attempt_at=now + pause)
            )

    @staticmethod
    def is_order(order_id: UUID) -> ColumnElement[bool]:
        """Return what tells one row from the others, for claiming it."""
        return DESTRUCTIONS.c.id == order_id

    async def remove_all_of(self, user_id: UUID) -> None:
        """Remove the rows that name a person; their whole folder is emptied by then."""
        await self._session.execute(delete(Destruction).where(Destruction.user_id == user_id))


class DataKeys:
    """Wrapped data keys, by the keyed hash of their owner."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, owner: str, wrapped: WrappedKey) -> None:
        """Keep a key unless the owner has one."""
        await self._session.execute(
            insert(DataKey)
            .values(owner=owner, key_id=wrapped.key_id, wrapped=wrapped.blob)
            .on_conflict_do_nothing()
        )

    async def find(self, owner: str) -> WrappedKey | None:
        """Return the owner's key."""
        row = await self._session.get(DataKey, owner)
        return None if row is None else WrappedKey(row.key_id, row.wrapped)

    async def destroy(self, owner: str) -> None:
        """Delete the owner's key."""
        await self._session.execute(delete(DataKey).where(DataKey.owner == owner))

    async def count(self, owner: str) -> int:
        """Return 1 when the owner has a key, else 0."""
        return int(await self._session.scalar(select(func.count()).where(DataKey.owner == owner)) or 0)

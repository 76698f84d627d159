"""Every query of storage."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.ids import new_id
from storage.models import ConsentGate, DataKey, Destruction, Photo
from storage.sealing import WrappedKey

BATCH = 100
CLAIMED = 20
LEASE_SECONDS = 60
BACKOFF_SECONDS = (1.0, 300.0)


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

    async def page(self, user_id: UUID, *, skip: int, limit: int) -> tuple[Sequence[Photo], int]:
        """Return one page of a person's photos, newest first, and how many there are in all."""
        newest_first = self._theirs(user_id).order_by(Photo.created_at.desc(), Photo.id.desc())
        rows = (await self._session.scalars(newest_first.offset(skip).limit(limit))).all()
        total = select(func.count()).where(Photo.user_id == user_id, Photo.closed_at.is_(None))
        return rows, int(await self._session.scalar(total) or 0)

    async def lock_resting_on(self, user_id: UUID, *, epoch: int) -> Sequence[Photo]:
        """Return the photos that rest on consents up to that epoch, locked until the transaction ends."""
        statement = (
            select(Photo)
            .where(Photo.user_id == user_id, Photo.consent_epoch <= epoch)
            .order_by(Photo.id)
            .with_for_update()
        )
        return (await self._session.scalars(statement)).all()

    async def lock_all_of(self, user_id: UUID) -> Sequence[Photo]:
        """Return everything that a person has or had begun, locked until the transaction ends."""
        statement = select(Photo).where(Photo.user_id == user_id).order_by(Photo.id).with_for_update()
        return (await self._session.scalars(statement)).all()

    async def lock_abandoned(self, *, link_over_by: datetime, received_by: datetime) -> Sequence[Photo]:
        """Return unconfirmed photos whose link was over by then, or whose bytes came too long ago."""
        statement = (
            select(Photo)
            .where(
                Photo.confirmed_at.is_(None),
                Photo.upload_expires_at <= link_over_by,
                or_(Photo.received_at.is_(None), Photo.received_at <= received_by),
            )
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        return (await self._session.scalars(statement)).all()

    async def remove(self, photo: Photo) -> None:
        """Delete the row; its objects are a matter of `Destructions`."""
        await self._session.delete(photo)

    async def count(self, user_id: UUID) -> int:
        """Return how many rows a person has."""
        return int(await self._session.scalar(select(func.count()).where(Photo.user_id == user_id)) or 0)

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

    async def open_longest_unchecked(self, *, before: datetime) -> Sequence[UUID]:
        """Return the people whose open gates were last compared with consent before then."""
        statement = (
            select(ConsentGate.user_id)
            .where(ConsentGate.granted, ConsentGate.checked_at < before)
            .order_by(ConsentGate.checked_at)
            .limit(BATCH)
        )
        return (await self._session.scalars(statement)).all()

    async def count(self, user_id: UUID) -> int:
        """Return 1 when there is a gate, else 0."""
        statement = select(func.count()).where(ConsentGate.user_id == user_id)
        return int(await self._session.scalar(statement) or 0)

    async def remove(self, user_id: UUID) -> None:
        """Forget the gate."""
        await self._session.execute(delete(ConsentGate).where(ConsentGate.user_id == user_id))


class Destructions:
    """Folders of the bucket that must be emptied; claimed with a lease, by the database's clock."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(
        self,
        prefix: str,
        *,
        user_id: UUID | None = None,
        photo_id: UUID | None = None,
        reason: str | None = None,
    ) -> Destruction:
        """Ask for a folder to be emptied, and for the announcement when it is a photo's."""
        row = Destruction(id=new_id(), prefix=prefix, user_id=user_id, photo_id=photo_id, reason=reason)
        self._session.add(row)
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

    async def claim(self, token: UUID, *, only: UUID | None = None) -> Sequence[Destruction]:
        """Take the work that is due under a lease of 60 seconds, or one row of it."""
        now = func.clock_timestamp()
        due = (
            select(Destruction.id)
            .where(
                Destruction.next_attempt_at <= now,
                or_(Destruction.lease_until.is_(None), Destruction.lease_until < now),
            )
            .order_by(Destruction.next_attempt_at)
            .limit(CLAIMED)
            .with_for_update(skip_locked=True)
        )
        if only is not None:
            due = due.where(Destruction.id == only)
        statement = (
            update(Destruction)
            .where(Destruction.id.in_(due))
            .values(
                lease_token=token,
                lease_until=now + timedelta(seconds=LEASE_SECONDS),
                attempts=Destruction.attempts + 1,
            )
            .returning(Destruction)
        )
        return (await self._session.scalars(statement)).all()

    async def finish(self, work: Destruction, token: UUID) -> bool:
        """Remove the row; False when the lease was lost and somebody else finishes it."""
        statement = (
            delete(Destruction)
            .where(Destruction.id == work.id, Destruction.lease_token == token)
            .returning(Destruction.id)
        )
        return await self._session.scalar(statement) is not None

    async def postpone(self, work: Destruction, token: UUID, *, error: str) -> None:
        """Give the row back for a later attempt, each later than the one before."""
        shortest, longest = BACKOFF_SECONDS
        pause = timedelta(seconds=min(shortest * 2 ** min(work.attempts - 1, 20), longest))
        await self._session.execute(
            update(Destruction)
            .where(Destruction.id == work.id, Destruction.lease_token == token)
            .values(
                lease_token=None,
                lease_until=None,
                next_attempt_at=func.clock_timestamp() + pause,
                last_error=error[:200],
            )
        )

    async def take_all_of(self, user_id: UUID) -> Sequence[Destruction]:
        """Remove and return the rows that name a person."""
        statement = delete(Destruction).where(Destruction.user_id == user_id).returning(Destruction)
        return (await self._session.scalars(statement)).all()

    async def count(self, user_id: UUID) -> int:
        """Return how many rows name a person."""
        statement = select(func.count()).where(Destruction.user_id == user_id)
        return int(await self._session.scalar(statement) or 0)


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

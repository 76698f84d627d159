"""Every query about photos that outlive the erasure of their owner."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, update

from chassis.repository import Repository
from storage.models import Photo


class HeldPhotos(Repository):
    """The photos of a person, as holds see them."""

    async def confirmed(self, user_id: UUID, *, only: Collection[UUID] | None) -> Sequence[UUID]:
        """Return the ids of a person's confirmed photos, those among `only` if it is given."""
        found = select(Photo.id).where(Photo.user_id == user_id, Photo.confirmed_at.is_not(None))
        if only is not None:
            found = found.where(Photo.id.in_(only))
        return (await self._session.scalars(found.order_by(Photo.id))).all()

    async def others(self, user_id: UUID, *, than: Collection[UUID]) -> Sequence[UUID]:
        """Return the ids of all photos and uploads of a person but some."""
        found = select(Photo.id).where(Photo.user_id == user_id, Photo.id.not_in(than))
        return (await self._session.scalars(found)).all()

    async def keep_only(self, user_id: UUID, photo_ids: Collection[UUID], *, now: datetime) -> None:
        """Delete the rows of a person's photos but these, which are in nobody's list from now on."""
        theirs = Photo.user_id == user_id
        await self._session.execute(delete(Photo).where(theirs, Photo.id.not_in(photo_ids)))
        # What a hold keeps waits for no grace, and from now on it is the erasure that destroys it.
        await self._session.execute(
            update(Photo)
            .where(theirs)
            .values(closed_at=func.coalesce(Photo.closed_at, now), destroy_at=None, released_for=None)
            .execution_options(synchronize_session=False)
        )

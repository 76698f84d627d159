"""Every query about who was given the bytes of a photo."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, tuple_

from chassis.repository import Repository
from storage.models import PhotoRead
from storage.paging import Place

BATCH = 1000


class PhotoReads(Repository):
    """The log of reads; `repositories.photos` writes it, in the statement that lets a read go on."""

    async def newest_first(
        self, user_id: UUID, photo_id: UUID, *, behind: Place | None, limit: int
    ) -> Sequence[PhotoRead]:
        """Return reads of a person's photo, which may be gone, behind a place."""
        found = select(PhotoRead).where(PhotoRead.user_id == user_id, PhotoRead.photo_id == photo_id)
        if behind is not None:
            place: Any = tuple_(PhotoRead.read_at, PhotoRead.id)
            found = found.where(place < tuple_(behind.created_at, behind.photo_id))
        ordered = found.order_by(PhotoRead.read_at.desc(), PhotoRead.id.desc()).limit(limit)
        return (await self._session.scalars(ordered)).all()

    async def forget(self, *, before: datetime) -> int:
        """Delete reads of before then, a batch of them; return how many."""
        oldest = select(PhotoRead.id).where(PhotoRead.read_at < before).limit(BATCH)
        forgotten = delete(PhotoRead).where(PhotoRead.id.in_(oldest)).returning(PhotoRead.id)
        return len((await self._session.scalars(forgotten)).all())

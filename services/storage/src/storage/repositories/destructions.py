"""Every query about folders that must be emptied."""

from collections.abc import Sequence
from datetime import timedelta
from typing import cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, delete, func
from sqlalchemy.dialects.postgresql import insert

from chassis.ids import new_id
from chassis.repository import Repository
from contracts.fields import PhotoDeletionReason
from storage.models import Destruction, Photo

DESTRUCTIONS = cast("Table", Destruction.__table__)


class Destructions(Repository):
    """Folders of the bucket that must be emptied: the rows of a work table."""

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

    async def sweep_later(self, prefixes: Sequence[str], *, after: Sequence[timedelta]) -> None:
        """Ask for bare sweeps of folders, instead of those that were asked for before."""
        bare = delete(Destruction).where(Destruction.prefix.in_(prefixes), Destruction.user_id.is_(None))
        await self._session.execute(bare)
        now = func.clock_timestamp()
        sweeps = [
            {"id": new_id(), "prefix": prefix, "next_attempt_at": now + pause}
            for prefix in prefixes
            for pause in after
        ]
        if sweeps:
            await self._session.execute(insert(Destruction).values(sweeps))

    @staticmethod
    def is_order(order_id: UUID) -> ColumnElement[bool]:
        """Return what tells one row from the others, for claiming it."""
        return DESTRUCTIONS.c.id == order_id

    async def remove_all_of(self, user_ids: Sequence[UUID]) -> None:
        """Remove the rows that name these people; their whole folders are emptied by then."""
        await self._session.execute(delete(Destruction).where(Destruction.user_id.in_(user_ids)))

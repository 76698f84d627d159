"""Every query of this service."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select

from chassis.repository import Repository
from sample.models import Entry


class Entries(Repository):
    """What people wrote down."""

    def add(self, entry: Entry) -> None:
        """Add an entry with the transaction."""
        self._session.add(entry)

    async def count_of(self, user_id: UUID) -> int:
        """Return how many entries a person has."""
        return int(await self._session.scalar(select(func.count()).where(Entry.user_id == user_id)) or 0)

    async def of(self, user_id: UUID) -> Sequence[Entry]:
        """Return a person's entries, the newest first."""
        newest_first = (
            select(Entry).where(Entry.user_id == user_id).order_by(Entry.created_at.desc(), Entry.id)
        )
        return (await self._session.scalars(newest_first)).all()

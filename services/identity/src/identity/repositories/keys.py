"""Every query about signing keys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select

from chassis.repository import Repository
from identity.models import StoredSigningKey


class StoredSigningKeys(Repository):
    """The keys made by rotation."""

    def add(self, key: StoredSigningKey) -> None:
        """Insert a key."""
        self._session.add(key)

    async def all(self) -> Sequence[StoredSigningKey]:
        """Return every key, the first to become active first."""
        return (
            await self._session.scalars(select(StoredSigningKey).order_by(StoredSigningKey.active_from))
        ).all()

    async def forget_replaced(self, *, before: datetime) -> None:
        """Delete the keys whose successor has signed since before that moment."""
        successor = select(func.max(StoredSigningKey.active_from)).where(
            StoredSigningKey.active_from <= before
        )
        await self._session.execute(
            delete(StoredSigningKey).where(StoredSigningKey.active_from < successor.scalar_subquery())
        )

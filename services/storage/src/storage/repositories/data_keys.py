"""Every query of the keyring."""

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from chassis.repository import Repository
from storage.models import DataKey
from storage.sealing import WrappedKey


class DataKeys(Repository):
    """Wrapped data keys, by the keyed hash of their owner."""

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

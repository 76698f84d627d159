"""Every query of the keyring."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Select, Table, bindparam, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.repository import Repository
from chassis.tables import tables_of
from storage.models import KEYRING_SCHEMA, DataKey
from storage.sealing import WrappedKey

_KEYS = cast("Table", DataKey.__table__)


def _look() -> Select[Any]:
    stones = tables_of(KEYRING_SCHEMA).tombstones.c.subject_hash
    erased = select(stones).where(stones == bindparam("owner")).exists()
    one = select(literal(1).label("one")).subquery()
    found = one.outerjoin(_KEYS, _KEYS.c.owner == bindparam("owner"))
    return select(erased, _KEYS.c.key_id, _KEYS.c.wrapped).select_from(found)


_LOOK = _look()
_STORED = select(DataKey.owner, DataKey.key_id, DataKey.wrapped)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whether a person is erased, and their key, if any."""

    erased: bool
    key: WrappedKey | None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A wrapped data key, and the keyed hash of its owner."""

    owner: str
    wrapped: WrappedKey


class DataKeys(Repository):
    """Wrapped data keys, by the keyed hash of their owner."""

    async def add(self, owner: str, wrapped: WrappedKey) -> None:
        """Keep a key unless the owner has one."""
        await self._session.execute(
            insert(DataKey)
            .values(owner=owner, key_id=wrapped.key_id, wrapped=wrapped.blob)
            .on_conflict_do_nothing()
        )

    async def look_at(self, owner: str) -> Holder:
        """Return what the keyring knows of an owner, in one round trip."""
        erased, key_id, wrapped = (await self._session.execute(_LOOK, {"owner": owner})).one()
        return Holder(erased=erased, key=None if key_id is None else WrappedKey(key_id, wrapped))

    async def destroy(self, owners: Collection[str]) -> None:
        """Delete the owners' keys."""
        await self._session.execute(delete(DataKey).where(DataKey.owner.in_(owners)))

    async def destroy_buried(self) -> None:
        """Delete the keys of everybody whose keys were destroyed before."""
        stones = tables_of(KEYRING_SCHEMA).tombstones.c.subject_hash
        await self._session.execute(delete(DataKey).where(DataKey.owner.in_(select(stones))))

    async def count_by_key(self) -> dict[str, int]:
        """Return how many data keys each key-encryption key wraps."""
        counted = select(DataKey.key_id, func.count().label("number")).group_by(DataKey.key_id)
        return {row.key_id: row.number for row in await self._session.execute(counted)}

    async def not_under(self, key_id: str, *, after: str, limit: int) -> list[StoredKey]:
        """Return the next data keys that another key-encryption key wraps, by the hashes of their owners."""
        page = _STORED.where(DataKey.owner > after, DataKey.key_id != key_id)
        return await self._stored(page.order_by(DataKey.owner).limit(limit))

    async def of_owners(self, owners: Collection[str], *, not_under: str) -> list[StoredKey]:
        """Return those of the owners' data keys that another key-encryption key than that one wraps."""
        return await self._stored(_STORED.where(DataKey.owner.in_(owners), DataKey.key_id != not_under))

    async def replace(self, stored: StoredKey, wrapped: WrappedKey) -> int:
        """Put a wrapped key in the place of the stored one, if that is still there; return 1 if it was."""
        replaced = (
            update(DataKey)
            .where(DataKey.owner == stored.owner, DataKey.wrapped == stored.wrapped.blob)
            .values(key_id=wrapped.key_id, wrapped=wrapped.blob)
            .returning(DataKey.owner)
        )
        return len((await self._session.execute(replaced)).all())

    async def _stored(self, statement: Select[str, str, bytes]) -> list[StoredKey]:
        rows = await self._session.execute(statement)
        return [StoredKey(owner, WrappedKey(key_id, blob)) for owner, key_id, blob in rows]

    async def owners_among(self, owners: Collection[str]) -> set[str]:
        """Return which of them have a key."""
        return set(await self._session.scalars(select(DataKey.owner).where(DataKey.owner.in_(owners))))

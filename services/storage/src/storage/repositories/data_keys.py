"""Every query of the keyring."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Select, Table, bindparam, delete, literal, select
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


@dataclass(frozen=True, slots=True)
class Holder:
    """Whether a person is erased, and their key, if any."""

    erased: bool
    key: WrappedKey | None


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

    async def owners_among(self, owners: Collection[str]) -> set[str]:
        """Return which of them have a key."""
        return set(await self._session.scalars(select(DataKey.owner).where(DataKey.owner.in_(owners))))

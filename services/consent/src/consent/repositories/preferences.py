"""Every query about preferences."""

from dataclasses import asdict, dataclass, fields
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Select, Table, bindparam, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert

from chassis.repository import Repository
from chassis.tombstones import is_buried
from consent.models import SCHEMA
from consent.models import Preferences as Row
from consent.preferences import OptOutSource, Preferences

_TABLE = cast("Table", Row.__table__)
_FIELDS = [field.name for field in fields(Preferences)]


@dataclass(frozen=True)
class Found:
    """What holds for a person, and whether their erasure has begun."""

    preferences: Preferences
    erased: bool


def _look() -> Select[Any]:
    erased = is_buried(SCHEMA)
    one = select(literal(1).label("one")).subquery()
    found = one.outerjoin(_TABLE, _TABLE.c.user_id == bindparam("user_id"))
    return select(*(_TABLE.c[name] for name in _FIELDS), erased).select_from(found)


def _write() -> ReturningInsert[Any]:
    values = {name: bindparam(name, type_=_TABLE.c[name].type) for name in ("user_id", *_FIELDS)}
    written = insert(_TABLE).values(values)
    return written.on_conflict_do_update(
        index_elements=[_TABLE.c.user_id],
        set_={name: written.excluded[name] for name in _FIELDS},
        where=_TABLE.c.epoch == written.excluded.epoch - 1,
    ).returning(_TABLE.c.epoch)


_LOOK, _WRITE = _look(), _write()


class PreferencesOfPeople(Repository):
    """The choices of people."""

    async def look_at(self, user_id: UUID, *, person_hash: str) -> Found:
        """Return what holds for a person, in one snapshot and one round trip."""
        asked = {"user_id": user_id, "person_hash": person_hash}
        *values, erased = (await self._session.execute(_LOOK, asked)).one()
        read = dict(zip(_FIELDS, values, strict=True))
        if read["epoch"] is None:
            return Found(Preferences(), erased)
        source = read["source"]
        return Found(
            Preferences(**read | {"source": None if source is None else OptOutSource(source)}), erased
        )

    async def write(self, user_id: UUID, preferences: Preferences) -> bool:
        """Write what holds from now on; False when somebody else has written that epoch already."""
        values = {"user_id": user_id, **asdict(preferences)}
        return (await self._session.execute(_WRITE, values)).scalar_one_or_none() is not None

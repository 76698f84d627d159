"""Every query about folders that must be emptied."""

from collections.abc import Sequence
from datetime import timedelta
from typing import cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Insert,
    Interval,
    String,
    Table,
    Uuid,
    any_,
    bindparam,
    column,
    delete,
    func,
    insert,
    select,
)

from chassis.driver import statements_of
from chassis.ids import new_id
from chassis.prepared import Prepared
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

    async def sweep_later(
        self, prefixes: Sequence[str], *, after: Sequence[timedelta], also_of: Sequence[UUID] = ()
    ) -> None:
        """Ask for bare sweeps of folders, instead of those before, and of all that names people `also_of`."""
        await self._session.flush()
        sweeps = [(new_id(), prefix, pause) for prefix in prefixes for pause in after]
        ids, folders, pauses = zip(*sweeps, strict=True) if sweeps else ((), (), ())
        values = {"ids": ids, "folders": folders, "pauses": pauses, "prefixes": prefixes, "people": also_of}
        await statements_of(self._session).fetch(
            _SWEEP, {name: list(value) for name, value in values.items()}
        )

    @staticmethod
    def is_order(order_id: UUID) -> ColumnElement[bool]:
        """Return what tells one row from the others, for claiming it."""
        return DESTRUCTIONS.c.id == order_id


def _sweep() -> Insert:
    table = DESTRUCTIONS
    named = delete(table).where(table.c.user_id == any_(bindparam("people", type_=ARRAY(Uuid))))
    bare = delete(table).where(
        table.c.prefix == any_(bindparam("prefixes", type_=ARRAY(String))), table.c.user_id.is_(None)
    )
    lists = (
        bindparam("ids", type_=ARRAY(Uuid)),
        bindparam("folders", type_=ARRAY(String)),
        bindparam("pauses", type_=ARRAY(Interval)),
    )
    each = func.unnest(*lists).table_valued(
        column("id", Uuid), column("prefix", String), column("pause", Interval), name="each"
    )
    each = each.render_derived()
    due = func.clock_timestamp() + each.c.pause
    later = insert(table).from_select(
        ["id", "prefix", "next_attempt_at"], select(each.c.id, each.c.prefix, due)
    )
    return later.add_cte(named.cte("named"), bare.cte("bare"))


_SWEEP = Prepared(_sweep())

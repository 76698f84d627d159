"""What a service holds of people, declared: from it come the inventory, the erasure and the export."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Any, Generic, Protocol, TypeVar, cast
from uuid import UUID

from sqlalchemy import ARRAY, Delete, Table, Uuid, any_, bindparam, column, delete, func, select
from sqlalchemy.orm import InstrumentedAttribute

from chassis.db import Database
from chassis.declarations import DataClass, Purpose
from chassis.driver import statements_of
from chassis.holds import Hold
from chassis.prepared import Prepared


class OnErase(StrEnum):
    """What an erasure does to it."""

    DELETE = "delete"
    CASCADE = "cascade"
    BLANK = "blank"


class HoldsRows(Protocol):
    """What has the schema that the declared rows lie in."""

    @property
    def database(self) -> Database:
        """The schema of the service."""


C = TypeVar("C", bound=HoldsRows)
_PEOPLE = bindparam("people", type_=ARRAY(Uuid))
_NOBODY = UUID(int=0)
Held = Mapping[UUID, Mapping[str, int]]
"""How much of each kind is there of each person."""


@dataclass(frozen=True, kw_only=True)
class Holding(Generic[C]):
    """One kind of data about a person: why it is held and for how long, and what an erasure does to it.

    `kind` is its name in reports. Rows of the service's own tables are named by the column `person`, and are
    deleted where there is no `erase` and they go with no other row; what lies elsewhere has its own `count`,
    which names everybody of whom there is something. `erase` must be harmless when repeated, and raise when
    something resisted; where it is `for_found_only`, it is asked about those alone of whom something was
    counted, and what comes in between is left to the second look. Both are about several people at once.

    A hold may name a kind that is `holdable`. Of one person, `kept` counts what the holds keep of this kind,
    be it because it belongs to something of another one, and `erase_rest` does what `erase` does to the rest.
    What is `in_export` is given to the person: of rows every column that does not say otherwise, or what
    `export` yields of one person, with the further fields that `export_adds` describes by name.
    """

    kind: str
    data_class: DataClass
    purpose: Purpose
    retention: str
    on_erase: OnErase
    in_export: bool
    person: InstrumentedAttribute[Any] | None = None
    count: Callable[[C, Sequence[UUID]], Awaitable[Mapping[UUID, int]]] | None = None
    erase: Callable[[C, Sequence[UUID]], Awaitable[None]] | None = None
    for_found_only: bool = False
    holdable: bool = False
    kept: Callable[[C, UUID, Sequence[Hold]], Awaitable[int]] | None = None
    erase_rest: Callable[[C, UUID, Sequence[Hold]], Awaitable[None]] | None = None
    export: Callable[[C, UUID], AsyncIterator[dict[str, Any]]] | None = None
    export_adds: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.person is None) == (self.count is None):
            raise TypeError(f"{self.kind}: either rows name the person, or something else counts")
        if self.erase is None and self.on_erase is not OnErase.CASCADE and not self.is_deleted_here:
            raise TypeError(f"{self.kind}: nothing here can erase that")
        if self.holdable and self.kept is None:
            raise TypeError(f"{self.kind}: nobody can tell what a hold keeps of it")
        if self.in_export and self.person is None and self.export is None:
            raise TypeError(f"{self.kind}: nothing here can export that")

    @property
    def is_deleted_here(self) -> bool:
        """Whether the rows are deleted because of this declaration alone."""
        return self.person is not None and self.erase is None and self.on_erase is OnErase.DELETE


def beyond(there: Held, kept: Held) -> dict[UUID, list[str]]:
    """Return of which kinds more is there of people than is kept, in order; of whom there is any."""
    nothing: Mapping[str, int] = {}
    found = {
        user_id: sorted(
            kind for kind, number in counts.items() if number > kept.get(user_id, nothing).get(kind, 0)
        )
        for user_id, counts in there.items()
    }
    return {user_id: kinds for user_id, kinds in found.items() if kinds}


class Holdings(Generic[C]):
    """What one opened service holds of people; erased in the order of the declaration."""

    def __init__(self, opened: C, declared: Sequence[Holding[C]]) -> None:
        self._opened = opened
        self._declared = declared
        # Building a statement costs more than running it: these are built once.
        self._rows = {it.kind: it.person for it in declared if it.person is not None}
        person = func.unnest(_PEOPLE).table_valued(column("id", Uuid), name="person").render_derived()
        counts = (select(func.count()).where(rows == person.c.id) for rows in self._rows.values())
        self._counts = Prepared(select(person.c.id, *(count.scalar_subquery() for count in counts)))
        self._deletions = {
            it.kind: delete(cast("Table", it.person.class_.__table__)).where(it.person == any_(_PEOPLE))
            for it in declared
            if it.person is not None and it.is_deleted_here
        }
        # Rows that nothing stands between go in one statement.
        self._steps = [
            _together([self._deletions[it.kind] for it in part]) if together else list(part)
            for together, part in groupby(declared, lambda holding: holding.is_deleted_here)
        ]

    async def count(self, user_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
        """Return what is held now of each, by kind: the inventory before erasing and the proof after it.

        Raises what a store outside of the database raises, because unknown is not nothing.
        """
        found: dict[str, Mapping[UUID, int]] = {
            holding.kind: await holding.count(self._opened, user_ids)
            for holding in self._declared
            if holding.count is not None
        }
        if self._rows:
            async with self._opened.database.read_only() as session:
                counted = await statements_of(session).fetch(self._counts, {"people": list(user_ids)})
            rows = {user_id: dict(zip(self._rows, counts, strict=True)) for user_id, *counts in counted}
            found |= {kind: {user_id: rows[user_id][kind] for user_id in rows} for kind in self._rows}
        return {
            user_id: {holding.kind: found[holding.kind].get(user_id, 0) for holding in self._declared}
            for user_id in user_ids
        }

    async def erase(self, user_ids: Sequence[UUID], found: Held | None = None) -> None:
        """Destroy all that is held of people; harmless when repeated, raises when something resisted.

        `found` is what `count` has found just before: nobody is asked in vain for what a second look proves.
        """
        for step in self._steps:
            if isinstance(step, Prepared):
                await self._delete(step, user_ids)
                continue
            for it in step:
                whom = user_ids
                if it.for_found_only and found is not None:
                    whom = [user_id for user_id in user_ids if found[user_id].get(it.kind)]
                if it.erase is not None and whom:
                    await it.erase(self._opened, whom)

    async def erase_all_but(
        self, user_ids: Sequence[UUID], holds: Mapping[UUID, Sequence[Hold]], found: Held
    ) -> None:
        """Do the same, but for what holds keep of some of them."""
        if free := [user_id for user_id in user_ids if not holds.get(user_id)]:
            await self.erase(free, found)
        for user_id, theirs in holds.items():
            await self._erase_rest(user_id, theirs)

    async def kept(self, holds: Mapping[UUID, Sequence[Hold]]) -> dict[UUID, dict[str, int]]:
        """Return how much of each kind the holds keep, of whom they keep anything."""
        found: dict[UUID, dict[str, int]] = {}
        for user_id, theirs in holds.items():
            for it in self._declared:
                number = 0 if it.kept is None else await it.kept(self._opened, user_id, theirs)
                if number:
                    found.setdefault(user_id, {})[it.kind] = number
        return found

    async def _erase_rest(self, user_id: UUID, holds: Sequence[Hold]) -> None:
        for it in self._declared:
            if it.erase_rest is not None:
                await it.erase_rest(self._opened, user_id, holds)
            elif it.is_deleted_here:
                await self._delete(Prepared(self._deletions[it.kind]), [user_id])
            elif it.erase is not None:
                await it.erase(self._opened, [user_id])

    async def people(self, *, at_once: int) -> AsyncIterator[list[UUID]]:
        """Yield everybody whom rows name, `at_once` at most; who is held by several kinds comes again."""
        for person in self._rows.values():
            after: UUID | None = _NOBODY
            while after is not None:
                page = select(person).where(person > after).distinct().order_by(person).limit(at_once)
                async with self._opened.database.read_only() as session:
                    found = list(await session.scalars(page))
                if found:
                    yield found
                after = found[-1] if found else None

    async def _delete(self, deletion: Prepared, user_ids: Sequence[UUID]) -> None:
        async with self._opened.database.one_statement() as session:
            await statements_of(session).fetch(deletion, {"people": list(user_ids)})


def _together(deletions: Sequence[Delete]) -> Prepared:
    """Return one statement that does all of these."""
    *others, last = deletions
    return Prepared(last.add_cte(*(other.cte(f"also_{place}") for place, other in enumerate(others))))

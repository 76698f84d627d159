"""What a service holds of people, declared: from the declaration come the inventory and the erasure."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any, Generic, Protocol, TypeVar, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, Table, bindparam, delete, func, select
from sqlalchemy.orm import InstrumentedAttribute

from chassis.db import Database


class DataClass(StrEnum):
    """What kind of data it is, by what it tells about a person."""

    ACCOUNT = "account"
    CREDENTIAL = "credential"
    CONTACT = "contact"
    CONSENT = "consent"
    BIOMETRIC = "biometric"
    KEY = "key"
    CONTENT = "content"


class Purpose(StrEnum):
    """What it is held for."""

    SIGN_IN = "sign in"
    NOTICES = "tell the person what happened to the account"
    PROOF_OF_CONSENT = "prove what was agreed to"
    SERVICE = "do what the person asked for"


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


@dataclass(frozen=True, kw_only=True)
class Holding(Generic[C]):
    """One kind of data about a person: why it is held and for how long, and what an erasure does to it.

    `kind` is its name in reports. Rows of the service's own tables are named by the column `person`, and are
    deleted where there is no `erase` and they go with no other row; what lies elsewhere has its own `count`.
    `erase` must be harmless when repeated, and raise when something resisted.
    """

    kind: str
    data_class: DataClass
    purpose: Purpose
    retention: str
    on_erase: OnErase
    in_export: bool
    person: InstrumentedAttribute[Any] | None = None
    count: Callable[[C, UUID], Awaitable[int]] | None = None
    erase: Callable[[C, UUID], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        if (self.person is None) == (self.count is None):
            raise TypeError(f"{self.kind}: either rows name the person, or something else counts")
        if self.erase is None and self.on_erase is not OnErase.CASCADE and not self.is_deleted_here:
            raise TypeError(f"{self.kind}: nothing here can erase that")

    @property
    def is_deleted_here(self) -> bool:
        """Whether the rows are deleted because of this declaration alone."""
        return self.person is not None and self.erase is None and self.on_erase is OnErase.DELETE


class Holdings(Generic[C]):
    """What one opened service holds of people; erased in the order of the declaration."""

    def __init__(self, opened: C, declared: Sequence[Holding[C]]) -> None:
        self._opened = opened
        self._declared = declared
        # Building a statement costs more than running it: these are built once.
        self._rows = {it.kind: it.person for it in declared if it.person is not None}
        counts = (select(func.count()).where(_is(person)) for person in self._rows.values())
        self._counts = select(*(count.scalar_subquery() for count in counts))
        self._deletions = {
            it.kind: delete(cast("Table", it.person.class_.__table__)).where(_is(it.person))
            for it in declared
            if it.person is not None and it.is_deleted_here
        }

    async def count(self, user_id: UUID) -> dict[str, int]:
        """Return what is held now, by kind: the inventory before erasing and the proof after it.

        Raises what a store outside of the database raises, because unknown is not nothing.
        """
        found = {
            holding.kind: await holding.count(self._opened, user_id)
            for holding in self._declared
            if holding.count is not None
        }
        if self._rows:
            async with self._opened.database.read_only() as session:
                row = (await session.execute(self._counts, {"person": user_id})).one()
            found |= zip(self._rows, row, strict=True)
        return {holding.kind: found[holding.kind] for holding in self._declared}

    async def erase(self, user_id: UUID) -> None:
        """Destroy all of it; harmless when repeated, raises when something resisted."""
        for together, part in groupby(self._declared, lambda holding: holding.is_deleted_here):
            if together:
                await self._delete((self._deletions[it.kind] for it in part), user_id)
                continue
            for holding in part:
                if holding.erase is not None:
                    await holding.erase(self._opened, user_id)

    async def _delete(self, deletions: Iterator[Delete], user_id: UUID) -> None:
        async with self._opened.database.unit_of_work() as uow:
            for deletion in deletions:
                await uow.session.execute(deletion, {"person": user_id})


def _is(person: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
    return person == bindparam("person", type_=person.type)

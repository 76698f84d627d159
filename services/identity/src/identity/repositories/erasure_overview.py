"""What operators ask about erasures, of whichever person."""

from datetime import datetime
from typing import NamedTuple, cast
from uuid import UUID

from sqlalchemy import Table, case, func, select, update

from chassis.repository import Repository
from identity.models import Erasure, ErasureParticipant
from identity.repositories.erasures import OPEN_COLUMNS, OpenErasure

_ERASURES = cast("Table", Erasure.__table__)
_PARTS = cast("Table", ErasureParticipant.__table__)
_OPEN = _ERASURES.c.completed_at.is_(None)


class Waiting(NamedTuple):
    """An open erasure, how often it was asked about, and who has not reported."""

    id: UUID
    requested_at: datetime
    deadline: datetime
    times_asked: int
    missing: list[str]


class ErasureOverview(Repository):
    """Open erasures of everybody."""

    async def waiting(self, *, due_before: datetime | None, limit: int) -> list[Waiting]:
        """Return open erasures, the oldest first; with `due_before` only those that should be complete."""
        name = case((_PARTS.c.held_at.is_(None), _PARTS.c.service), else_=_PARTS.c.service + " (a hold)")
        missing = (
            select(func.array_agg(name))
            .where(_PARTS.c.erasure_id == _ERASURES.c.id, _PARTS.c.completed_at.is_(None))
            .where(_PARTS.c.retired_at.is_(None))
            .scalar_subquery()
        )
        columns = (_ERASURES.c[name] for name in Waiting._fields[:-1])
        statement = select(*columns, missing).where(_OPEN).order_by(_ERASURES.c.requested_at).limit(limit)
        if due_before is not None:
            statement = statement.where(_ERASURES.c.deadline <= due_before, _ERASURES.c.held_since.is_(None))
        rows = await self._session.execute(statement)
        return [Waiting._make((*row[:-1], sorted(row[-1] or ()))) for row in rows]

    async def ask_now(self, erasure_id: UUID, *, now: datetime) -> OpenErasure | None:
        """Note that an open erasure is asked about now; None when it is unknown or complete."""
        statement = (
            update(_ERASURES)
            .where(_ERASURES.c.id == erasure_id, _OPEN)
            .values(asked_at=now, times_asked=_ERASURES.c.times_asked + 1)
            .returning(*OPEN_COLUMNS)
        )
        row = (await self._session.execute(statement)).one_or_none()
        return OpenErasure.of(row) if row is not None else None

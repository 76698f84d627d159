"""Every query about what participants report."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Select, Table, case, func, or_, select, update

from chassis import scripts
from chassis.driver import Statements
from chassis.repository import Repository
from identity.erasure.policy import Report, Retirement
from identity.models import Erasure, ErasureParticipant, ProcessorRequest
from identity.repositories.completion import COLLECT, RETIRE, Completion, Said
from identity.repositories.erasures import OPEN_COLUMNS, OpenErasure
from identity.repositories.holds import stated_of, terms_in

_ERASURES = cast("Table", Erasure.__table__)
_PARTS = cast("Table", ErasureParticipant.__table__)
_OPEN = _ERASURES.c.completed_at.is_(None)


class ErasureReports(Repository):
    """What participants say that they have erased."""

    async def record(
        self,
        erasure_id: UUID,
        report: Report,
        *,
        now: datetime,
        holds_version: int = 0,
        deadline: datetime | None = None,
    ) -> Completion | None:
        """Record a participant's report; the first one stands, and the last one completes the erasure.

        One that keeps something went by the holds of `holds_version`, and counts while these are in force.
        `deadline` is what the person's laws say. Returns what was completed, or is left but for holds; None
        while somebody has not reported, or when it was so before.
        """
        held = bool(report.held)
        values = {
            "new_completed_at": None if held else report.completed_at,
            "new_erased": report.erased,
            "new_digest": report.digest,
            "new_regimes": report.regimes,
            "new_key_providers": report.key_providers,
            "new_held": report.held or None,
            "new_held_at": report.completed_at if held else None,
            "went_by": holds_version,
        }
        return await self._completed(COLLECT, erasure_id, report.service, values, deadline=deadline, now=now)

    async def retire(self, erasure_id: UUID, retirement: Retirement, *, now: datetime) -> Completion | None:
        """Wait for a silent participant no longer; returns what `record` returns."""
        values = {"new_retired_at": retirement.retired_at, "new_retired_reason": retirement.reason}
        return await self._completed(RETIRE, erasure_id, retirement.service, values, deadline=None, now=now)

    async def waiting_for(self, service: str, *, limit: int) -> Sequence[UUID]:
        """Return open erasures that wait for a service, in the order of their ids."""
        statement = (
            select(_PARTS.c.erasure_id)
            .join(_ERASURES, _ERASURES.c.id == _PARTS.c.erasure_id)
            .where(_OPEN, _PARTS.c.service == service, _PARTS.c.completed_at.is_(None))
            .where(_PARTS.c.retired_at.is_(None))
            .order_by(_PARTS.c.erasure_id)
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()

    async def resume(
        self, erasure_id: UUID, service: str, *, now: datetime, deadline: datetime
    ) -> OpenErasure | None:
        """Forget what a service said to be held, state what is held now, and wait for the service again.

        Where nothing but holds was waited for, it has until `deadline` at least. The caller has locked the
        erasure. None when nothing is waited for: the erasure is complete, or the service has nothing left.
        """
        parts, row = _PARTS.c, _ERASURES.c
        # Processors are told of every hold, whichever service has the thing.
        asked = select(ProcessorRequest.processor).where(ProcessorRequest.erasure_id == erasure_id)
        forgotten = update(_PARTS).where(
            parts.erasure_id == erasure_id, or_(parts.service == service, parts.service.in_(asked))
        )
        silent = forgotten.where(parts.completed_at.is_(None)).values(held=None, held_at=None)
        waits = (await self._session.scalars(silent.returning(parts.service))).all()
        if not waits:
            return None
        resumed, waited = update(_ERASURES).where(row.id == erasure_id, _OPEN), row.held_since.is_not(None)
        found = await self._session.execute(
            resumed.values(
                holds=stated_of(row.user_id),
                holds_version=row.holds_version + 1,
                held_since=None,
                asked_at=now,
                times_asked=1,
                resumed_at=case((waited, now), else_=row.resumed_at),
                deadline=case((waited, func.greatest(row.deadline, deadline)), else_=row.deadline),
            ).returning(*OPEN_COLUMNS)
        )
        opened = found.one_or_none()
        return None if opened is None else OpenErasure.of(opened)

    async def _completed(
        self,
        statement: Select[Any],
        erasure_id: UUID,
        service: str,
        values: Mapping[str, Any],
        *,
        deadline: datetime | None,
        now: datetime,
    ) -> Completion | None:
        # Locked before anything is read: of two reports at once the second one sees the first.
        lock = scripts.lock_row(_ERASURES, id=erasure_id)
        if await Statements(self._session).run(lock, purpose="lock an erasure") == scripts.NOTHING_FOUND:
            return None
        named = {"erasure": erasure_id, "participant": service, "at": now, "new_deadline": deadline}
        rows = (await self._session.execute(statement, {**named, **values})).all()
        if not rows:
            return None
        known = len(Completion._fields) - 2
        user_id, holds, *times = rows[0][:known]
        parts = [Said(*row[known:]) for row in rows]
        return Completion._make(
            (
                user_id,
                terms_in(holds),
                *times,
                [it.report for it in parts if it.looked_at],
                [it.retirement for it in parts if not it.looked_at],
            )
        )

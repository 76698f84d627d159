"""Every query about what participants report; the last report completes the erasure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    CTE,
    BindParameter,
    Select,
    String,
    Table,
    Uuid,
    bindparam,
    case,
    exists,
    func,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from chassis import scripts
from chassis.driver import Statements
from chassis.repository import Repository
from chassis.tables import Moment
from identity.erasure.policy import Report, Retirement
from identity.models import Erasure, ErasureParticipant

_ERASURES = cast("Table", Erasure.__table__)
_PARTS = cast("Table", ErasureParticipant.__table__)
_OPEN = _ERASURES.c.completed_at.is_(None)
_SAID = [_PARTS.c[name] for name in (*Report._fields, "retired_at", "retired_reason")]


class Completion(NamedTuple):
    """What the last report has completed: whose erasure it was, its times, and every report by name.

    `retired` are those who were not waited for.
    """

    user_id: UUID
    requested_at: datetime
    deadline: datetime
    grace_until: datetime | None
    erasing_at: datetime
    verifying_at: datetime
    overdue_at: datetime | None
    completed_at: datetime
    reports: list[Report]
    retired: list[Retirement]


def _reporting(erasure: BindParameter[UUID]) -> CTE:
    values = {
        name: bindparam(f"new_{name}", type_=_PARTS.c[name].type)
        for name in ("completed_at", "erased", "digest", "regimes", "key_providers")
    }
    said: dict[str, Any] = {
        "erasure_id": _ERASURES.c.id,
        "service": bindparam("participant", type_=String),
        **values,
    }
    return (
        insert(_PARTS)
        .from_select(list(said), select(*said.values()).where(_ERASURES.c.id == erasure, _OPEN))
        .on_conflict_do_update(
            index_elements=[_PARTS.c.erasure_id, _PARTS.c.service],
            set_=values,
            # The first report stands.
            where=_PARTS.c.completed_at.is_(None),
        )
        .returning(*_SAID)
        .cte("changed")
    )


def _retiring(erasure: BindParameter[UUID]) -> CTE:
    return (
        update(_PARTS)
        .where(
            _PARTS.c.erasure_id == erasure,
            _PARTS.c.service == bindparam("participant", type_=String),
            _PARTS.c.completed_at.is_(None),
            exists(select(_ERASURES.c.id).where(_ERASURES.c.id == erasure, _OPEN)),
        )
        .values(retired_at=bindparam("new_retired_at"), retired_reason=bindparam("new_retired_reason"))
        .returning(*_SAID)
        .cte("changed")
    )


def _parts(erasure: BindParameter[UUID], changed: CTE) -> CTE:
    """Return where every participant stands by now, the change of this moment too."""
    # What the statement writes it does not see: the others are those of before.
    others = select(*_SAID).where(
        _PARTS.c.erasure_id == erasure, _PARTS.c.service.not_in(select(changed.c.service))
    )
    return others.union_all(select(changed)).cte("parts")


def _completing(change: Callable[[BindParameter[UUID]], CTE]) -> Select[Any]:
    """Return what makes the change, and completes the erasure if nobody is waited for then."""
    erasure, at = bindparam("erasure", type_=Uuid), bindparam("at", type_=Moment)
    parts = _parts(erasure, change(erasure))
    # Clocks of two machines may differ by more than a step takes; a step is never before the one it follows.
    begun = func.coalesce(_ERASURES.c.erasing_at, _ERASURES.c.requested_at)
    moment = func.greatest(at, func.coalesce(_ERASURES.c.verifying_at, begun))
    done = ~exists().where(parts.c.completed_at.is_(None), parts.c.retired_at.is_(None))
    first = _ERASURES.c.verifying_at.is_(None) & exists().where(parts.c.completed_at.is_not(None))
    stepped = (
        update(_ERASURES)
        .where(_ERASURES.c.id == erasure, _OPEN, or_(first, done))
        .values(
            verifying_at=func.coalesce(_ERASURES.c.verifying_at, moment),
            completed_at=case((done, moment)),
            user_id=case((done, null()), else_=_ERASURES.c.user_id),
        )
        .returning(
            _ERASURES.c.requested_at,
            _ERASURES.c.deadline,
            _ERASURES.c.grace_until,
            begun.label("erasing_at"),
            _ERASURES.c.verifying_at,
            _ERASURES.c.overdue_at,
            _ERASURES.c.completed_at,
        )
        .cte("stepped")
    )
    # As of before the statement, which empties it.
    person = select(_ERASURES.c.user_id).where(_ERASURES.c.id == erasure).scalar_subquery()
    return (
        select(person, stepped, parts)
        .select_from(stepped.join(parts, true()))
        .where(stepped.c.completed_at.is_not(None))
        .order_by(parts.c.service)
    )


_COLLECT = _completing(_reporting)
_RETIRE = _completing(_retiring)


class ErasureReports(Repository):
    """What participants say that they have erased."""

    async def record(self, erasure_id: UUID, report: Report, *, now: datetime) -> Completion | None:
        """Record a participant's report; the first one stands, and the last one completes the erasure.

        Returns what was completed; None while somebody has not reported, or when it was complete before.
        """
        values = {
            "new_completed_at": report.completed_at,
            "new_erased": report.erased,
            "new_digest": report.digest,
            "new_regimes": report.regimes,
            "new_key_providers": report.key_providers,
        }
        return await self._completed(_COLLECT, erasure_id, report.service, values, now=now)

    async def retire(self, erasure_id: UUID, retirement: Retirement, *, now: datetime) -> Completion | None:
        """Wait for a silent participant no longer; returns what `record` returns."""
        values = {"new_retired_at": retirement.retired_at, "new_retired_reason": retirement.reason}
        return await self._completed(_RETIRE, erasure_id, retirement.service, values, now=now)

    async def waiting_for(self, service: str) -> Sequence[UUID]:
        """Return the open erasures that wait for a service, in the order of their ids."""
        statement = (
            select(_PARTS.c.erasure_id)
            .join(_ERASURES, _ERASURES.c.id == _PARTS.c.erasure_id)
            .where(_OPEN, _PARTS.c.service == service, _PARTS.c.completed_at.is_(None))
            .where(_PARTS.c.retired_at.is_(None))
            .order_by(_PARTS.c.erasure_id)
        )
        return (await self._session.scalars(statement)).all()

    async def _completed(
        self,
        statement: Select[Any],
        erasure_id: UUID,
        service: str,
        values: Mapping[str, Any],
        *,
        now: datetime,
    ) -> Completion | None:
        # Locked before anything is read: of two reports at once the second one sees the first.
        lock = scripts.lock_row(_ERASURES, id=erasure_id)
        if await Statements(self._session).run(lock, purpose="lock an erasure") == scripts.NOTHING_FOUND:
            return None
        named = {"erasure": erasure_id, "participant": service, "at": now}
        rows = (await self._session.execute(statement, {**named, **values})).all()
        if not rows:
            return None
        times, said = len(Completion._fields) - 2, len(Report._fields)
        parts = [row[times:] for row in rows]
        return Completion._make(
            (
                *rows[0][:times],
                [Report(*part[:said]) for part in parts if part[1] is not None],
                [Retirement(part[0], *part[said:]) for part in parts if part[1] is None],
            )
        )

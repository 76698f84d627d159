"""Every query about what participants report; the last report completes the erasure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    CTE,
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
from identity.erasure.policy import Report
from identity.models import Erasure, ErasureParticipant

_ERASURES = cast("Table", Erasure.__table__)
_PARTS = cast("Table", ErasureParticipant.__table__)
_OPEN = _ERASURES.c.completed_at.is_(None)
_SAID = [_PARTS.c[name] for name in Report._fields]


class Completion(NamedTuple):
    """What the last report has completed: whose erasure it was, its times, and every report by name."""

    user_id: UUID
    requested_at: datetime
    deadline: datetime
    grace_until: datetime | None
    erasing_at: datetime
    verifying_at: datetime
    overdue_at: datetime | None
    completed_at: datetime
    reports: list[Report]


def _said(erasure: Any) -> CTE:
    """Return what every participant has said by now, the report of this moment too."""
    values = {
        name: bindparam(f"new_{name}", type_=_PARTS.c[name].type)
        for name in ("completed_at", "erased", "digest", "regimes")
    }
    said: dict[str, Any] = {
        "erasure_id": _ERASURES.c.id,
        "service": bindparam("service", type_=String),
        **values,
    }
    report = (
        insert(_PARTS)
        .from_select(list(said), select(*said.values()).where(_ERASURES.c.id == erasure, _OPEN))
        .on_conflict_do_update(
            index_elements=[_PARTS.c.erasure_id, _PARTS.c.service],
            set_=values,
            # The first report stands.
            where=_PARTS.c.completed_at.is_(None),
        )
        .returning(*_SAID)
        .cte("report")
    )
    # What the statement writes it does not see: the others are those of before.
    others = select(*_SAID).where(
        _PARTS.c.erasure_id == erasure, _PARTS.c.service.not_in(select(report.c.service))
    )
    return others.union_all(select(report)).cte("parts")


def _collecting() -> Select[Any]:
    erasure, at = bindparam("erasure", type_=Uuid), bindparam("at", type_=Moment)
    parts = _said(erasure)
    # Clocks of two machines may differ by more than a step takes; a step is never before the one it follows.
    begun = func.coalesce(_ERASURES.c.erasing_at, _ERASURES.c.requested_at)
    moment = func.greatest(at, func.coalesce(_ERASURES.c.verifying_at, begun))
    done = ~exists().where(parts.c.completed_at.is_(None))
    stepped = (
        update(_ERASURES)
        .where(_ERASURES.c.id == erasure, _OPEN, or_(_ERASURES.c.verifying_at.is_(None), done))
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


_COLLECT = _collecting()


class ErasureReports(Repository):
    """What participants say that they have erased."""

    async def record(self, erasure_id: UUID, report: Report, *, now: datetime) -> Completion | None:
        """Record a participant's report; the first one stands, and the last one completes the erasure.

        Returns what was completed; None while somebody has not reported, or when it was complete before.
        """
        # Locked before anything is read: of two reports at once the second one sees the first.
        lock = scripts.lock_row(_ERASURES, id=erasure_id)
        if await Statements(self._session).run(lock, purpose="lock an erasure") == scripts.NOTHING_FOUND:
            return None
        values: Mapping[str, Any] = {
            "erasure": erasure_id,
            "service": report.service,
            "new_completed_at": report.completed_at,
            "new_erased": report.erased,
            "new_digest": report.digest,
            "new_regimes": report.regimes,
            "at": now,
        }
        rows = (await self._session.execute(_COLLECT, values)).all()
        if not rows:
            return None
        times = len(Completion._fields) - 1
        return Completion._make((*rows[0][:times], [Report(*row[times:]) for row in rows]))

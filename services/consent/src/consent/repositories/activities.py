"""Every query about when somebody was last here, and whose consents have rested for too long since."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Date, Select, String, cast, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, insert

from chassis.repository import Repository
from consent.idle_periods import IdlePeriod
from consent.models import Activity, Gate, LedgerEntry
from consent.repositories.gates import HOLDS_OPEN

# A grant is an interaction as well. What is null counts for nothing here.
_LAST: ColumnElement[date] = func.greatest(
    cast(func.timezone("UTC", LedgerEntry.occurred_at), Date), Activity.active_on
)


@dataclass(frozen=True)
class Idle:
    """A gate whose consent has rested for too long, and when it would lapse."""

    open_until: datetime | None
    user_id: UUID


@dataclass(frozen=True)
class HeldIdle:
    """A gate that is held, the grant that holds it open, and the day of the last interaction."""

    gate: Gate
    granted: LedgerEntry
    last: date


class Activities(Repository):
    """The days on which people were last here."""

    async def record(self, user_id: UUID, day: date) -> None:
        """Write that somebody was here on that day, if they ever agreed to anything; never an earlier one."""
        has_gate = select(Gate.user_id).where(Gate.user_id == user_id).exists()
        written = insert(Activity).from_select(
            ["user_id", "active_on"], select(literal(user_id), literal(day, Date)).where(has_gate)
        )
        later = written.on_conflict_do_update(
            index_elements=[Activity.user_id],
            set_={"active_on": written.excluded.active_on},
            where=Activity.active_on < written.excluded.active_on,
        )
        await self._session.execute(later)

    async def idle(self, period: IdlePeriod, *, by: date, after: Idle | None, limit: int) -> list[Idle]:
        """Return at most `limit` gates whose period is over then, in the order of lapsing; locks none."""
        key = tuple_(Gate.open_until, Gate.user_id)
        query = _of(period, by, Gate.open_until, Gate.user_id).order_by(Gate.open_until, Gate.user_id)
        if after is not None:
            query = query.where(key > tuple_(after.open_until, after.user_id))
        return [Idle(*row) for row in await self._session.execute(query.limit(limit))]

    async def hold_idle(self, idle: Sequence[Idle], period: IdlePeriod, *, by: date) -> list[HeldIdle]:
        """Lock those of these gates that nobody holds and whose period still counts as over."""
        query = _of(period, by, Gate, LedgerEntry, _LAST).where(Gate.user_id.in_([it.user_id for it in idle]))
        held = await self._session.execute(query.with_for_update(of=Gate, skip_locked=True))
        return [HeldIdle(*row) for row in held]


def _of(period: IdlePeriod, by: date, *columns: Any) -> Select[Any]:
    # What was granted within the period can't be over: the index of lapsing finds the rest.
    ended = by - timedelta(days=period.days)
    granted_before = datetime.combine(ended + timedelta(days=1), time.min, UTC)
    return (
        select(*columns)
        .select_from(Gate)
        .join(LedgerEntry, HOLDS_OPEN)
        .outerjoin(Activity, Activity.user_id == Gate.user_id)
        .where(
            Gate.consent_type == period.consent_type.value,
            Gate.open_until < granted_before + timedelta(days=period.longest_validity),
            LedgerEntry.jurisdictions.overlap(cast(list(period.jurisdictions), ARRAY(String(32)))),
            ended >= _LAST,
        )
    )

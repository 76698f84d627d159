"""Every query about the gates, which put one person's entries of a type in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Interval,
    Select,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.db import UnitOfWork
from chassis.prepared import Prepared
from chassis.tables import Moment
from chassis.tombstones import is_buried
from consent.models import SCHEMA, Gate, LedgerEntry
from consent.repositories.rows import (
    ENTRIES,
    GATE_FIELDS,
    GATES,
    GRANT_FIELDS,
    SAYS_YES,
    GateState,
    GrantRow,
    gate_of,
    grant_of,
    holds_open,
)

HOUR = timedelta(hours=1)
HOLDS_OPEN = and_(
    LedgerEntry.consent_id == Gate.open_consent_id,
    LedgerEntry.user_id == Gate.user_id,
    LedgerEntry.kind.in_(SAYS_YES),
)


@dataclass(frozen=True)
class Standing:
    """The gate, if one was ever made, the grant that holds it open, and whether the person is erased."""

    gate: GateState | None
    granted: GrantRow | None
    erased: bool


@dataclass(frozen=True)
class Held:
    """A locked gate, the grant that holds it open, and for how long its changes per hour are used up."""

    gate: GateState
    granted: GrantRow | None
    wait_seconds: float


@dataclass(frozen=True)
class HeldOfGrant:
    """A locked gate and the grant that holds it open, with the grant that led to it and its withdrawal."""

    named: GrantRow
    gate: GateState
    granted: GrantRow | None
    withdrawn_at: datetime | None


@dataclass(frozen=True)
class Lapsed:
    """A gate whose consent has lapsed, and when."""

    open_until: datetime | None
    user_id: UUID
    consent_type: str


_ERASED = is_buried(SCHEMA)


def _look() -> Select[Any]:
    gate, entry = GATES, ENTRIES
    asked = and_(gate.c.user_id == bindparam("user_id"), gate.c.consent_type == bindparam("consent_type"))
    one = select(literal(1).label("one")).subquery()
    found = one.outerjoin(gate, asked).outerjoin(entry, holds_open(gate, entry))
    return select(_ERASED, *_of(gate, GATE_FIELDS), *_of(entry, GRANT_FIELDS)).select_from(found)


def _of(table: Any, names: Sequence[str]) -> list[ColumnElement[Any]]:
    return [table.c[name].label(f"{table.name}_{name}") for name in names]


def _held(*, made_from: Any) -> CTE:
    """Return the gate, made if it is the first time, and locked by an update that changes nothing."""
    made = insert(GATES).from_select(["user_id", "consent_type", "epoch"], made_from)
    locked = made.on_conflict_do_update(
        index_elements=[GATES.c.user_id, GATES.c.consent_type], set_={"epoch": GATES.c.epoch}
    )
    return locked.returning(*(GATES.c[name] for name in GATE_FIELDS)).cte("held")


def _entry_of(held: CTE, epoch: ColumnElement[Any]) -> tuple[Any, ColumnElement[bool]]:
    entry = ENTRIES.alias()
    return entry, and_(
        entry.c.user_id == held.c.user_id,
        entry.c.consent_type == held.c.consent_type,
        entry.c.epoch == epoch,
    )


def _sees_all(held: CTE) -> ColumnElement[bool]:
    """Tell whether the statement began when the last change had committed, rather than waited for it."""
    last, is_last = _entry_of(held, held.c.epoch)
    return or_(held.c.epoch == 0, select(last.c.position).where(is_last).exists())


def _hold() -> Select[Any]:
    person = (bindparam("user_id", type_=Uuid), bindparam("consent_type", type_=String))
    held, holding = _held(made_from=select(*person, literal(0))), ENTRIES.alias("holding")
    # Epochs have no holes, so the change before the last n ones is found by its number. The consent that has
    # lapsed is closed before, which is a change as well.
    lapsed = case((held.c.open_until <= bindparam("now", type_=Moment), 1), else_=0)
    early, is_early = _entry_of(held, held.c.epoch + lapsed - bindparam("changes", type_=BigInteger) + 1)
    free_at = early.c.occurred_at + literal(HOUR, Interval)
    wait = select(func.extract("epoch", free_at - func.clock_timestamp())).where(is_early)
    return select(
        _ERASED, *_of(held, GATE_FIELDS), *_of(holding, GRANT_FIELDS), wait.scalar_subquery(), _sees_all(held)
    ).select_from(held.outerjoin(holding, holds_open(held, holding)))


def _hold_of_grant() -> Select[Any]:
    entry, grants = ENTRIES, [ENTRIES.c[name] for name in GRANT_FIELDS]
    named = (
        select(*grants)
        .where(
            entry.c.consent_id == bindparam("consent_id"),
            entry.c.user_id == bindparam("user_id"),
            entry.c.kind.in_(SAYS_YES),
        )
        .cte("named")
    )
    made_from = select(named.c.user_id, named.c.consent_type, literal(0))
    held, holding, later = _held(made_from=made_from), ENTRIES.alias("holding"), ENTRIES.alias("later")
    withdrawn = (
        select(later.c.occurred_at)
        .where(
            later.c.user_id == named.c.user_id,
            later.c.consent_type == named.c.consent_type,
            later.c.kind == literal_column("'withdrawal'"),
            later.c.epoch > named.c.epoch,
        )
        .order_by(later.c.epoch)
        .limit(1)
        .scalar_subquery()
    )
    one = select(literal(1).label("one")).subquery()
    found = one.outerjoin(named, true()).outerjoin(held, true()).outerjoin(holding, holds_open(held, holding))
    return select(
        _ERASED,
        *_of(held, GATE_FIELDS),
        *_of(holding, GRANT_FIELDS),
        *_of(named, GRANT_FIELDS),
        withdrawn,
        or_(held.c.epoch.is_(None), _sees_all(held)),
    ).select_from(found)


_LOOK, _HOLD, _HOLD_OF_GRANT = _look(), Prepared(_hold()), Prepared(_hold_of_grant())
# A row of these begins with whether the person is erased.
_GATE = 1
_GRANT, _BEHIND = _GATE + len(GATE_FIELDS), _GATE + len(GATE_FIELDS) + len(GRANT_FIELDS)


class HeldGates:
    """The gates that a unit of work holds until it ends; so one person's entries of a type have an order."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def hold(self, user_id: UUID, consent_type: str, *, now: datetime, changes: int) -> Held:
        """Lock the person and the gate until the transaction ends, made at epoch 0 if it is the first time.

        Raises `PersonErased`.
        """
        asked = {"user_id": user_id, "consent_type": consent_type, "now": now, "changes": changes}
        row = await self._held(user_id, _HOLD, asked)
        gate = gate_of(row, begin=_GATE)
        if gate is None:
            raise RuntimeError("a gate that is made or locked is there")
        return Held(gate, grant_of(row, begin=_GRANT), max(float(row[_BEHIND] or 0), 0.0))

    async def hold_of(self, user_id: UUID, consent_id: UUID) -> HeldOfGrant | None:
        """Lock the person and the gate of their grant likewise; None when they have no such grant."""
        asked = {"user_id": user_id, "consent_id": consent_id}
        row = await self._held(user_id, _HOLD_OF_GRANT, asked)
        gate, named = gate_of(row, begin=_GATE), grant_of(row, begin=_BEHIND)
        if gate is None or named is None:
            return None
        return HeldOfGrant(named, gate, grant_of(row, begin=_GRANT), row[-2])

    async def _held(self, user_id: UUID, statement: Prepared, asked: dict[str, Any]) -> Any:
        (row,) = await self._uow.fetch_about(user_id, statement, asked)
        if not row[-1]:
            # It waited for somebody whose entries it does not see. Now that the gate is ours it will.
            (row,) = await self._uow.fetch_about(user_id, statement, asked)
        return row


class Gates:
    """What the gates say; see `HeldGates` for who writes."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def look_at(self, user_id: UUID, consent_type: str, *, person_hash: str) -> Standing:
        """Return where a person's consent stands, in one snapshot and one round trip."""
        asked = {"user_id": user_id, "consent_type": consent_type, "person_hash": person_hash}
        row = (await self._session.execute(_LOOK, asked)).one()
        return Standing(gate_of(row, begin=_GATE), grant_of(row, begin=_GRANT), row[0])

    async def lapsed(self, *, by: datetime, after: Lapsed | None, limit: int) -> list[Lapsed]:
        """Return at most `limit` gates whose consent has lapsed `by` then, the longest first; locks none."""
        key = tuple_(Gate.open_until, Gate.user_id, Gate.consent_type)
        query = select(Gate.open_until, Gate.user_id, Gate.consent_type).where(Gate.open_until <= by)
        if after is not None:
            query = query.where(key > tuple_(after.open_until, after.user_id, after.consent_type))
        query = query.order_by(Gate.open_until, Gate.user_id, Gate.consent_type).limit(limit)
        return [Lapsed(*row) for row in await self._session.execute(query)]

    async def hold_lapsed(self, lapsed: Sequence[Lapsed], *, by: datetime) -> list[tuple[Gate, LedgerEntry]]:
        """Lock those of these gates that nobody holds and whose consent still counts as lapsed."""
        query = (
            select(Gate, LedgerEntry)
            .join(LedgerEntry, HOLDS_OPEN)
            .where(
                tuple_(Gate.user_id, Gate.consent_type).in_([(it.user_id, it.consent_type) for it in lapsed]),
                Gate.open_until <= by,
            )
            .with_for_update(of=Gate, skip_locked=True)
        )
        return [(gate, granted) for gate, granted in await self._session.execute(query)]

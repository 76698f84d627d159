"""Every query about the gates, which put one person's entries of a type in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, literal, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.tables import tables_of
from consent.models import SCHEMA, Gate, LedgerEntry
from consent.policy import EntryKind
from consent.repositories.ledger import Ledger

HOLDS_OPEN = and_(
    LedgerEntry.consent_id == Gate.open_consent_id,
    LedgerEntry.user_id == Gate.user_id,
    LedgerEntry.kind == EntryKind.GRANT.value,
)


@dataclass(frozen=True)
class Standing:
    """The gate, if one was ever made, the grant that holds it open, and whether the person is erased."""

    gate: Gate | None
    granted: LedgerEntry | None
    erased: bool


@dataclass(frozen=True)
class Lapsed:
    """A gate whose consent has lapsed, and when."""

    open_until: datetime | None
    user_id: UUID
    consent_type: str


class Gates:
    """The locks that put one person's entries of a type in order."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def hold(self, user_id: UUID, consent_type: str) -> tuple[Gate, LedgerEntry | None]:
        """Lock the gate until the transaction ends, made at epoch 0 if it is the first time.

        Returns it with the grant that holds it open, if one does.
        """
        await self._session.execute(
            insert(Gate).values(user_id=user_id, consent_type=consent_type, epoch=0).on_conflict_do_nothing()
        )
        query = (
            select(Gate)
            .where(Gate.user_id == user_id, Gate.consent_type == consent_type)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        gate = (await self._session.scalars(query)).one()
        if gate.open_consent_id is None:
            return gate, None
        return gate, await Ledger(self._session).grant(user_id, gate.open_consent_id)

    async def look_at(self, user_id: UUID, consent_type: str, *, person_hash: str) -> Standing:
        """Return where a person's consent stands, in one snapshot and one round trip."""
        stones = tables_of(SCHEMA).tombstones.c.subject_hash
        one = select(literal(1).label("one")).subquery()
        query = (
            select(Gate, LedgerEntry, select(stones).where(stones == person_hash).exists())
            .select_from(one)
            .outerjoin(Gate, and_(Gate.user_id == user_id, Gate.consent_type == consent_type))
            .outerjoin(LedgerEntry, HOLDS_OPEN)
        )
        return Standing(*(await self._session.execute(query)).one())

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

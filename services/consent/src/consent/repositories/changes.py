"""Every query about the feed of changed gates.

Whoever changes a gate takes its position away and waits for nobody. Gates get positions when the feed is
read, by one reader at a time: so positions become visible in their order, and a reader that remembers the
highest one has missed no change.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, bindparam, select, text, update

from chassis.repository import Repository
from consent.models import GATE_POSITIONS, Gate
from consent.repositories.rows import (
    ENTRIES,
    GATE_FIELDS,
    GATES,
    GRANT_FIELDS,
    GateState,
    GrantRow,
    grant_of,
    holds_open,
)

_NUMBERING_LOCK = 7_262_001
_PAGE = (
    select(
        GATES.c.position,
        *(GATES.c[name] for name in GATE_FIELDS),
        *(ENTRIES.c[name].label(f"entry_{name}") for name in GRANT_FIELDS),
    )
    .select_from(GATES.outerjoin(ENTRIES, holds_open(GATES, ENTRIES)))
    .where(GATES.c.position > bindparam("after", type_=BigInteger))
    .order_by(GATES.c.position)
    .limit(bindparam("most", type_=Integer))
)
_GATE_END = 1 + len(GATE_FIELDS)


@dataclass(frozen=True, slots=True)
class ChangedGate:
    """A gate as it stands, at its position in the feed, and the grant that holds it open."""

    position: int
    gate: GateState
    granted: GrantRow | None


class Changes(Repository):
    """The feed of changed gates: each stands in it once, at the position of its last change."""

    async def has_news(self) -> bool:
        """Tell whether a gate waits for its position."""
        waiting = select(Gate.user_id).where(Gate.position.is_(None)).limit(1)
        return await self._session.scalar(waiting) is not None

    async def number(self, *, limit: int) -> None:
        """Give positions to at most `limit` gates that have none; what somebody holds gets one later."""
        await self._session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _NUMBERING_LOCK})
        waiting = (
            select(Gate.user_id, Gate.consent_type)
            .where(Gate.position.is_(None))
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("waiting")
        )
        await self._session.execute(
            update(Gate)
            .where(Gate.user_id == waiting.c.user_id, Gate.consent_type == waiting.c.consent_type)
            .values(position=GATE_POSITIONS.next_value())
            .execution_options(synchronize_session=False)
        )

    async def page(self, after: int, *, limit: int) -> Sequence[ChangedGate]:
        """Return at most `limit` gates that changed after that position, in the order of their positions."""
        rows = await self._session.execute(_PAGE, {"after": after, "most": limit})
        return [
            ChangedGate(row[0], GateState(*row[1:_GATE_END]), grant_of(row, begin=_GATE_END)) for row in rows
        ]

    async def last_position(self) -> int:
        """Return the highest position that was ever given; 0 while there is none."""
        given = text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM consent.gate_positions")
        return int(await self._session.scalar(given) or 0)

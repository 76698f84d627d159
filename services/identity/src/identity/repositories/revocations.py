"""Every query about the feed of ended sessions.

Whoever ends a session inserts a row and waits for nobody. Rows get their positions when the feed is read, by
one reader at a time: so positions become visible in their order, and a reader that remembers the highest one
has missed none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Table, bindparam, delete, exists, extract, func, or_, select, text, update

from chassis.repository import Repository
from identity.models import SessionRevocation
from identity.models.accounts import REVOCATION_POSITIONS

_NUMBERING_LOCK = 7_261_003
# By the statement's own clock, which stands still: no index helps where it runs on from row to row.
_STILL_NEEDED = SessionRevocation.expires_at > func.statement_timestamp()
# A look is taken twice a second by every gateway that waits, so it is built once, and two indexes answer it.
_NEWS = select(
    or_(
        exists().where(SessionRevocation.position > bindparam("after"), _STILL_NEEDED),
        exists().where(SessionRevocation.position.is_(None), _STILL_NEEDED),
    )
)
_FORGET = delete(cast("Table", SessionRevocation.__table__)).where(~_STILL_NEEDED)


@dataclass(frozen=True)
class Revocation:
    """A session whose access tokens are refused for `expires_in` more seconds of the database's clock."""

    position: int
    session_id: UUID
    revoked_at: datetime
    expires_in: float


class Revocations(Repository):
    """The feed of ended sessions."""

    async def has_news(self, position: int) -> bool:
        """Tell whether a page after `position` would hold anything."""
        return bool(await self._session.scalar(_NEWS, {"after": position}))

    async def page(self, position: int, *, limit: int) -> tuple[Sequence[Revocation], bool]:
        """Return the revocations after `position` in order, and whether nothing more waits after them."""
        numbered = await self._number(limit)
        statement = (
            select(
                SessionRevocation.position,
                SessionRevocation.session_id,
                SessionRevocation.revoked_at,
                extract("epoch", SessionRevocation.expires_at - func.clock_timestamp()),
            )
            .where(SessionRevocation.position > position, _STILL_NEEDED)
            .order_by(SessionRevocation.position)
            .limit(limit)
        )
        rows = (await self._session.execute(statement)).all()
        found = [
            Revocation(position=number or 0, session_id=session_id, revoked_at=at, expires_in=float(seconds))
            for number, session_id, at, seconds in rows
        ]
        return found, numbered < limit and len(found) < limit

    async def forget(self) -> None:
        """Delete the revocations whose access tokens have all expired."""
        await self._session.execute(_FORGET)

    async def _number(self, limit: int) -> int:
        """Give positions to some rows that have none, and say to how many."""
        await self._session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _NUMBERING_LOCK})
        waiting = (
            select(SessionRevocation.session_id)
            .where(SessionRevocation.position.is_(None))
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("waiting")
        )
        numbered = (
            update(SessionRevocation)
            .where(SessionRevocation.session_id == waiting.c.session_id)
            .values(position=REVOCATION_POSITIONS.next_value())
            .returning(SessionRevocation.session_id)
            .execution_options(synchronize_session=False)
        )
        return len((await self._session.execute(numbered)).all())

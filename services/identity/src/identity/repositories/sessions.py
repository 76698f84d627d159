"""Every query about sessions and their revocations."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from identity.models import Session, SessionRevocation, User

# Revocations are numbered in the order in which they commit, so that a reader that remembers the highest
# number has missed none.
_REVOCATION_ORDER_LOCK = 7_261_003


class Sessions:
    """Sign-ins and the revocations of their access tokens."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, session: Session) -> None:
        """Insert a session."""
        self._session.add(session)

    async def lock(self, session_id: UUID) -> Session | None:
        """Return the session, locked until the transaction ends."""
        return await self._session.scalar(select(Session).where(Session.id == session_id).with_for_update())

    async def listed(
        self, user_id: UUID, *, used_after: datetime, created_after: datetime
    ) -> Sequence[Session]:
        """Return the sessions of a person that could still be refreshed, the latest used first."""
        statement = (
            select(Session)
            .where(
                Session.user_id == user_id,
                Session.ended_at.is_(None),
                Session.last_used_at > used_after,
                Session.created_at > created_after,
            )
            .order_by(Session.last_used_at.desc())
        )
        return (await self._session.scalars(statement)).all()

    async def is_open_in(self, ip_prefix: str, *, email_key: str) -> bool:
        """Tell whether the account with that normalised address has a session begun in that network."""
        statement = (
            select(Session.id)
            .join(User, User.id == Session.user_id)
            .where(
                User.email_key == email_key,
                User.erasure_id.is_(None),
                Session.ip_prefix == ip_prefix,
                Session.ended_at.is_(None),
            )
        )
        return await self._session.scalar(statement.limit(1)) is not None

    async def live_of(self, user_id: UUID) -> Sequence[Session]:
        """Return the sessions of a person that have not ended, locked until the transaction ends."""
        statement = (
            select(Session)
            .where(Session.user_id == user_id, Session.ended_at.is_(None))
            .order_by(Session.id)
            .with_for_update()
        )
        return (await self._session.scalars(statement)).all()

    async def end(
        self, sessions: Sequence[Session], *, reason: str, now: datetime, token_lifetime: timedelta
    ) -> None:
        """End the sessions and refuse their access tokens from now on."""
        if not sessions:
            return
        for session in sessions:
            session.ended_at, session.end_reason = now, reason
        await self._session.execute(
            text("SELECT pg_advisory_xact_lock(:key)"), {"key": _REVOCATION_ORDER_LOCK}
        )
        await self._session.execute(
            insert(SessionRevocation),
            [
                {"session_id": session.id, "revoked_at": now, "expires_at": now + 2 * token_lifetime}
                for session in sessions
            ],
        )

    async def count(self, user_id: UUID) -> int:
        """Return how many sessions of a person are kept, ended ones too."""
        statement = select(func.count()).select_from(Session).where(Session.user_id == user_id)
        return int(await self._session.scalar(statement) or 0)

    async def revocations_after(
        self, position: int, *, now: datetime, limit: int
    ) -> Sequence[SessionRevocation]:
        """Return the revocations after `position` whose access tokens may still be around."""
        statement = (
            select(SessionRevocation)
            .where(SessionRevocation.position > position, SessionRevocation.expires_at > now)
            .order_by(SessionRevocation.position)
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()

    async def forget_revocations(self, *, now: datetime) -> None:
        """Delete the revocations whose access tokens have all expired."""
        await self._session.execute(delete(SessionRevocation).where(SessionRevocation.expires_at <= now))

"""Every query of identity."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from identity.models import Erasure, ErasureParticipant, Participant, Session, SessionRevocation, User

# Revocations are numbered in the order in which they commit, so that a reader that remembers the highest
# number has missed none.
_REVOCATION_ORDER_LOCK = 7_261_003


class Users:
    """Accounts."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, user: User) -> bool:
        """Insert the account; False when the address belongs to another one."""
        columns = {column.key: getattr(user, column.key) for column in User.__table__.columns}
        statement = insert(User).values(columns).on_conflict_do_nothing().returning(User.id)
        return await self._session.scalar(statement) is not None

    async def with_email(self, key: str) -> User | None:
        """Return the live account with that normalised address."""
        return await self._session.scalar(
            select(User).where(User.email_key == key, User.erasure_id.is_(None))
        )

    async def lock(self, user_id: UUID) -> User | None:
        """Return the account, locked until the transaction ends."""
        return await self._session.scalar(select(User).where(User.id == user_id).with_for_update())

    async def lock_owner_of(self, session_id: UUID) -> User | None:
        """Return the account that a session belongs to, locked until the transaction ends."""
        owner = select(Session.user_id).where(Session.id == session_id).scalar_subquery()
        return await self._session.scalar(select(User).where(User.id == owner).with_for_update())

    async def signed_in(self, user_id: UUID, session_id: UUID) -> User | None:
        """Return the account if it is active and that session of it has not ended."""
        return await self._session.scalar(
            select(User)
            .join(Session, Session.user_id == User.id)
            .where(User.id == user_id, User.is_active, Session.id == session_id, Session.ended_at.is_(None))
        )

    async def count(self, user_id: UUID) -> int:
        """Return 1 when the account is there, else 0."""
        statement = select(func.count()).select_from(User).where(User.id == user_id)
        return int(await self._session.scalar(statement) or 0)

    async def destroy(self, user_id: UUID) -> None:
        """Delete the account; its sessions go with it."""
        await self._session.execute(delete(User).where(User.id == user_id))


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


class Participants:
    """The services that answer for what they store."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def register(self, *, service: str, handles: Sequence[str], version: str, now: datetime) -> None:
        """Remember the service, or what is new about it."""
        values = {"handles": list(handles), "version": version, "joined_at": now}
        await self._session.execute(
            insert(Participant)
            .values(service=service, **values)
            .on_conflict_do_update(index_elements=[Participant.service], set_=values)
        )

    async def handling(self, duty: str) -> set[str]:
        """Return the services that announced `duty`."""
        statement = select(Participant.service).where(Participant.handles.contains([duty]))
        return set((await self._session.scalars(statement)).all())


class Erasures:
    """Requests to be erased and what the participants said."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def open(self, erasure: Erasure, services: Sequence[str]) -> None:
        """Insert the erasure and a waiting row for each participant."""
        self._session.add(erasure)
        self._session.add_all(
            ErasureParticipant(erasure_id=erasure.id, service=service) for service in services
        )

    async def find(self, erasure_id: UUID) -> Erasure | None:
        """Return the erasure."""
        return await self._session.get(Erasure, erasure_id)

    async def lock(self, erasure_id: UUID) -> Erasure | None:
        """Return the erasure, locked until the transaction ends."""
        return await self._session.get(Erasure, erasure_id, with_for_update=True)

    async def participants(self, erasure_id: UUID) -> Sequence[ErasureParticipant]:
        """Return what each participant said, by name."""
        statement = (
            select(ErasureParticipant)
            .where(ErasureParticipant.erasure_id == erasure_id)
            .order_by(ErasureParticipant.service)
        )
        return (await self._session.scalars(statement)).all()

    async def record_report(
        self, erasure_id: UUID, *, service: str, completed_at: datetime, erased: dict[str, Any], digest: str
    ) -> None:
        """Record a participant's report; the first one stands."""
        values = {"completed_at": completed_at, "erased": erased, "digest": digest}
        await self._session.execute(
            insert(ErasureParticipant)
            .values(erasure_id=erasure_id, service=service, **values)
            .on_conflict_do_update(
                index_elements=[ErasureParticipant.erasure_id, ErasureParticipant.service],
                set_=values,
                where=ErasureParticipant.completed_at.is_(None),
            )
        )
        # Rows of this erasure that the session has loaded are read again after a change behind its back.
        self._session.expire_all()

    async def waiting_for(self, service: str, *, after: UUID | None, limit: int) -> Sequence[Erasure]:
        """Return open erasures that `service` has not reported, in order of their ids, after `after`."""
        reported = select(ErasureParticipant.erasure_id).where(
            ErasureParticipant.erasure_id == Erasure.id,
            ErasureParticipant.service == service,
            ErasureParticipant.completed_at.is_not(None),
        )
        statement = select(Erasure).where(Erasure.completed_at.is_(None), ~reported.exists())
        if after is not None:
            statement = statement.where(Erasure.id > after)
        return (await self._session.scalars(statement.order_by(Erasure.id).limit(limit))).all()

    async def lock_silent(self, *, now: datetime, shortest_pause: timedelta, limit: int) -> Sequence[Erasure]:
        """Return open erasures last asked about long enough ago, or whose deadline has passed unnoticed."""
        asked_long_ago = Erasure.asked_at <= now - shortest_pause
        newly_overdue = (Erasure.deadline <= now) & Erasure.overdue_at.is_(None)
        statement = (
            select(Erasure)
            .where(Erasure.completed_at.is_(None), asked_long_ago | newly_overdue)
            .order_by(Erasure.asked_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return (await self._session.scalars(statement)).all()

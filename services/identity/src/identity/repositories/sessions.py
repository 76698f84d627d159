"""Every query about sessions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Integer, Select, Uuid, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from identity.models import Session, SessionRevocation, User

PRUNED_AT_ONCE = 1000


@dataclass(frozen=True)
class SessionEnd:
    """Why and when sessions end, and for how long an access token of theirs may still be around."""

    reason: str
    now: datetime
    token_lifetime: timedelta


@dataclass(frozen=True)
class LiveSince:
    """The moments after which a session must have been used and begun to be good still."""

    used_after: datetime
    created_after: datetime

    def holds(self) -> ColumnElement[bool]:
        """Return the condition on the rows of sessions."""
        return (
            Session.ended_at.is_(None)
            & (Session.last_used_at > self.used_after)
            & (Session.created_at > self.created_after)
        )


class Sessions:
    """Sign-ins."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def begin(self, begun: Session, *, most: int, superseded: SessionEnd) -> Sequence[UUID]:
        """Insert a session, end those of its account beyond the `most` latest used, and return their ids.

        The caller has locked the account.
        """
        oldest = (
            select(Session.id)
            .where(Session.user_id == begun.user_id, Session.ended_at.is_(None))
            .order_by(Session.last_used_at.desc(), Session.id.desc())
            .offset(most - 1)
        )
        table = Session.__table__
        values = {column.key: getattr(begun, column.key) for column in table.columns}
        new = insert(Session).values({name: value for name, value in values.items() if value is not None})
        ended = _ended(Session.id.in_(oldest), superseded)
        statement = select(ended.c.id).add_cte(_revoked(ended, superseded), new.cte("begun"))
        return (await self._session.scalars(statement)).all()

    async def is_live(self, session_id: UUID, live: LiveSince) -> bool:
        """Tell whether the session could be refreshed, and its account is active."""
        statement = select(Session.id).join(User, User.id == Session.user_id)
        statement = statement.where(Session.id == session_id, live.holds(), User.is_active)
        return await self._session.scalar(statement) is not None

    async def lock(self, session_id: UUID) -> Session | None:
        """Return the session, locked until the transaction ends."""
        return await self._session.scalar(select(Session).where(Session.id == session_id).with_for_update())

    async def listed(
        self, user_id: UUID, live: LiveSince, *, page: int, page_size: int
    ) -> tuple[Sequence[Session], int]:
        """Return a page of the sessions that can be refreshed, the latest used first, and their number."""
        of_person = live.holds() & (Session.user_id == user_id)
        statement = (
            select(Session)
            .where(of_person)
            .order_by(Session.last_used_at.desc(), Session.id.desc())
            .limit(page_size)
            .offset((page - 1) * page_size)
        )
        found = (await self._session.scalars(statement)).all()
        if page == 1 and len(found) < page_size:
            return found, len(found)
        total = await self._session.scalar(select(func.count()).select_from(Session).where(of_person))
        return found, int(total or 0)

    async def is_open_in(self, ip_prefix: str, live: LiveSince, *, email_key: str) -> bool:
        """Tell whether the account with that normalised address has a session begun in that network."""
        statement = (
            select(Session.id)
            .join(User, User.id == Session.user_id)
            .where(
                User.email_key == email_key,
                User.erasure_id.is_(None),
                Session.ip_prefix == ip_prefix,
                live.holds(),
            )
        )
        return await self._session.scalar(statement.limit(1)) is not None

    async def end(self, session_id: UUID, end: SessionEnd, *, user_id: UUID) -> bool:
        """End a session of the person and refuse its access tokens; False when there is no such live one."""
        statement = _ending((Session.id == session_id) & (Session.user_id == user_id), end)
        return bool(await self._session.scalar(statement.with_only_columns(func.count())))

    async def end_others(self, user_id: UUID, end: SessionEnd, *, keep: UUID) -> Sequence[UUID]:
        """End the sessions of a person but the one to `keep`, and return which."""
        statement = _ending((Session.user_id == user_id) & (Session.id != keep), end)
        return (await self._session.scalars(statement)).all()

    async def end_all(self, user_id: UUID, end: SessionEnd) -> int:
        """End the sessions of a person and say how many there were."""
        statement = _ending(Session.user_id == user_id, end).with_only_columns(func.count())
        return int(await self._session.scalar(statement) or 0)

    async def note_seen(self, seen: Iterable[tuple[UUID, int]]) -> None:
        """Remember the highest generation of sessions whose access token was seen, if there is such a one."""
        highest: dict[UUID, int] = {}
        for session_id, generation in seen:
            highest[session_id] = max(generation, highest.get(session_id, 0))
        told = select(
            func.unnest(literal(list(highest), ARRAY(Uuid))).label("id"),
            func.unnest(literal(list(highest.values()), ARRAY(Integer))).label("generation"),
        ).subquery("told")
        # Always in the same order, so that two writers of the same rows don't wait in a circle.
        locked = (
            select(Session.id, told.c.generation)
            .join(told, told.c.id == Session.id)
            .where(Session.seen_generation < told.c.generation, told.c.generation <= Session.generation)
            .order_by(Session.id)
            .with_for_update(of=Session, key_share=True)
            .cte("locked")
        )
        await self._session.execute(
            update(Session)
            .where(Session.id == locked.c.id)
            .values(seen_generation=locked.c.generation)
            .execution_options(synchronize_session=False)
        )

    async def prune(self, *, ended_before: datetime, last_live: LiveSince) -> int:
        """Delete some sessions that ended, or were over by `last_live`, before that; say how many."""
        over = or_(
            Session.ended_at < ended_before,
            Session.created_at <= last_live.created_after,
            # Whoever was not used for so long was begun before: the index on the beginning finds them.
            (Session.created_at <= last_live.used_after) & (Session.last_used_at <= last_live.used_after),
        )
        some = select(Session.id).where(over).limit(PRUNED_AT_ONCE).with_for_update(skip_locked=True)
        statement = delete(Session).where(Session.id == some.cte("some").c.id).returning(Session.id)
        return len((await self._session.execute(statement)).all())


def _ending(condition: ColumnElement[bool], end: SessionEnd) -> Select[Any]:
    live = select(Session.id).where(condition, Session.ended_at.is_(None)).order_by(Session.id)
    ended = _ended(Session.id.in_(live.with_for_update()), end)
    return select(ended.c.id).select_from(ended).add_cte(_revoked(ended, end))


def _ended(condition: ColumnElement[bool], end: SessionEnd) -> CTE:
    statement = update(Session).where(condition, Session.ended_at.is_(None))
    return statement.values(ended_at=end.now, end_reason=end.reason).returning(Session.id).cte("ended")


def _revoked(ended: CTE, end: SessionEnd) -> CTE:
    rows: Select[Any] = select(
        ended.c.id, literal(end.now), func.clock_timestamp() + literal(2 * end.token_lifetime)
    )
    columns = [SessionRevocation.session_id, SessionRevocation.revoked_at, SessionRevocation.expires_at]
    return insert(SessionRevocation).from_select(columns, rows).on_conflict_do_nothing().cte("revoked")

"""Every query about sessions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Date,
    Integer,
    Interval,
    Select,
    Table,
    Uuid,
    bindparam,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from chassis.repository import Repository
from chassis.tables import Moment
from identity.models import Session, SessionRevocation, User

PRUNED_AT_ONCE = 1000
_SESSIONS = cast("Table", Session.__table__)


@dataclass(frozen=True)
class SessionEnd:
    """Why and when sessions end, and for how long an access token of theirs may still be around."""

    reason: str
    now: datetime
    token_lifetime: timedelta

    def values(self) -> dict[str, Any]:
        """Return what the statements below call these."""
        return {"end": self.reason, "at": self.now, "refused_for": 2 * self.token_lifetime}


class OpenSession(NamedTuple):
    """A session that can be refreshed if its account may, both locked."""

    id: UUID
    user_id: UUID
    generation: int
    seen_generation: int
    rotated_at: datetime
    authenticated_at: datetime
    created_at: datetime
    last_used_at: datetime
    is_verified: bool


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


def _ended(condition: ColumnElement[bool]) -> CTE:
    statement = update(_SESSIONS).where(condition, _SESSIONS.c.ended_at.is_(None))
    return (
        statement.values(ended_at=bindparam("at"), end_reason=bindparam("end"))
        .returning(_SESSIONS.c.id)
        .cte("ended")
    )


def revoked(gone: CTE) -> CTE:
    """Return the part that has their access tokens refused."""
    until = func.clock_timestamp() + bindparam("refused_for", type_=Interval)
    rows = select(gone.c.id, bindparam("at", type_=Moment), until)
    columns = [SessionRevocation.session_id, SessionRevocation.revoked_at, SessionRevocation.expires_at]
    return insert(SessionRevocation).from_select(columns, rows).on_conflict_do_nothing().cte("revoked")


def ending(condition: ColumnElement[bool]) -> CTE:
    """Return the part of a statement that ends live sessions; see `SessionEnd.values`."""
    # Always in the same order, so that two writers of the same rows don't wait in a circle.
    live = select(_SESSIONS.c.id).where(condition, _SESSIONS.c.ended_at.is_(None)).order_by(_SESSIONS.c.id)
    return _ended(_SESSIONS.c.id.in_(live.with_for_update()))


def _ending(condition: ColumnElement[bool]) -> Select[Any]:
    gone = ending(condition)
    return select(gone.c.id).select_from(gone).add_cte(revoked(gone))


def _noted() -> CTE:
    """Return the part that says that the person was here today, if nobody has said it."""
    today = bindparam("today", type_=Date)
    first = (User.id == bindparam("of")) & User.active_on.is_distinct_from(today)
    return update(User).where(first).values(active_on=today).returning(User.id).cte("noted")


def _beginning() -> Select[Any]:
    oldest = (
        select(_SESSIONS.c.id)
        .where(_SESSIONS.c.user_id == bindparam("of"), _SESSIONS.c.ended_at.is_(None))
        .order_by(_SESSIONS.c.last_used_at.desc(), _SESSIONS.c.id.desc())
        .offset(bindparam("others", type_=Integer))
    )
    at = bindparam("at", type_=Moment)
    new = insert(_SESSIONS).values(
        id=bindparam("new"),
        user_id=bindparam("of"),
        generation=1,
        user_agent=bindparam("agent"),
        ip_prefix=bindparam("network"),
        **dict.fromkeys(("rotated_at", "authenticated_at", "created_at", "last_used_at"), at),
    )
    gone, noted = _ended(_SESSIONS.c.id.in_(oldest)), _noted()
    return select(
        select(func.array_agg(gone.c.id)).scalar_subquery(),
        exists(select(noted.c.id)),
        select(User.is_verified).where(User.id == bindparam("of")).scalar_subquery(),
    ).add_cte(revoked(gone), new.cte("begun"))


def _rotating() -> Select[Any]:
    changed = (
        update(_SESSIONS)
        .where(_SESSIONS.c.id == bindparam("session"))
        .values({name: bindparam(f"new_{name}") for name in ("generation", "rotated_at", "last_used_at")})
        .cte("rotated")
    )
    return select(exists(select(_noted().c.id))).add_cte(changed)


# Built once: building one of them takes several times as long as its answer.
_OF = _SESSIONS.c.user_id == bindparam("of")
_END_ONE = _ending(_OF & (_SESSIONS.c.id == bindparam("session")))
_END_OTHERS = _ending(_OF & (_SESSIONS.c.id != bindparam("session")))
_END_ALL = _ending(_OF).with_only_columns(func.count())
_BEGIN = _beginning()
_ROTATE = _rotating()
_REFRESHED = (
    # The account comes first, so that it is locked first: as by all who lock both, so none waits in a circle.
    select(*(_SESSIONS.c[name] for name in OpenSession._fields[:-1]), User.__table__.c.is_verified)
    .select_from(User.__table__.join(_SESSIONS, _SESSIONS.c.user_id == User.id))
    .where(_SESSIONS.c.id == bindparam("session"), _SESSIONS.c.ended_at.is_(None), User.is_active)
    .with_for_update()
)


class Sessions(Repository):
    """Sign-ins."""

    async def begin(
        self, begun: Session, *, most: int, superseded: SessionEnd
    ) -> tuple[list[UUID], bool, bool]:
        """Insert a session and end those of its account beyond the `most` latest used.

        Returns their ids, whether the person was here for the first time today, and whether their address is
        proved. The caller has locked the account.
        """
        values = {
            "new": begun.id,
            "of": begun.user_id,
            "agent": begun.user_agent,
            "network": begun.ip_prefix,
            "others": most - 1,
            "today": superseded.now.date(),
            **superseded.values(),
        }
        gone, noted, verified = (await self._session.execute(_BEGIN, values)).one()
        return gone or [], noted, verified

    async def is_live(self, session_id: UUID, live: LiveSince) -> bool:
        """Tell whether the session could be refreshed, and its account is active."""
        statement = select(Session.id).join(User, User.id == Session.user_id)
        statement = statement.where(Session.id == session_id, live.holds(), User.is_active)
        return await self._session.scalar(statement) is not None

    async def lock(self, session_id: UUID) -> OpenSession | None:
        """Return a live session of an active account, both locked until the transaction ends."""
        row = (await self._session.execute(_REFRESHED, {"session": session_id})).one_or_none()
        return OpenSession._make(row) if row is not None else None

    async def renew(self, session: Session, *, now: datetime) -> bool:
        """Store what a refresh has made of the session; True when the person was here first today."""
        values = {
            "session": session.id,
            "of": session.user_id,
            "new_generation": session.generation,
            "new_rotated_at": session.rotated_at,
            "new_last_used_at": now,
            "today": now.date(),
        }
        return bool(await self._session.scalar(_ROTATE, values))

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
        values = {"of": user_id, "session": session_id, **end.values()}
        return await self._session.scalar(_END_ONE, values) is not None

    async def end_others(self, user_id: UUID, end: SessionEnd, *, keep: UUID) -> Sequence[UUID]:
        """End the sessions of a person but the one to `keep`, and return which."""
        values = {"of": user_id, "session": keep, **end.values()}
        return (await self._session.scalars(_END_OTHERS, values)).all()

    async def end_all(self, user_id: UUID, end: SessionEnd) -> int:
        """End the sessions of a person and say how many there were."""
        return int(await self._session.scalar(_END_ALL, {"of": user_id, **end.values()}) or 0)

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

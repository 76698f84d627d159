"""Every query about erasures."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self, cast
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    Select,
    String,
    Subquery,
    Table,
    Uuid,
    all_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from chassis.repository import Repository
from chassis.tables import Moment
from contracts.identity import Hold
from identity.erasure.policy import REMINDER_MULTIPLES, reminder_pause
from identity.mail.policy import WITH_LINK
from identity.models import Erasure, ErasureParticipant, Mail, MailToken, Participant, Session, User
from identity.repositories.holds import HOLDS, holds_of, stated_of
from identity.repositories.sessions import SessionEnd, ending, revoked

_FIRST = UUID(int=0)
_STEPS = range(1, len(REMINDER_MULTIPLES) + 1)
_USERS = cast("Table", User.__table__)
_ERASURES = cast("Table", Erasure.__table__)
_PARTS = cast("Table", ErasureParticipant.__table__)
_OPEN = _ERASURES.c.completed_at.is_(None)
_NOT_HELD = _ERASURES.c.held_since.is_(None)
_TAKING_PART = ("service", "retired_at", "retired_reason")


class OpenErasure(NamedTuple):
    """An erasure that some participant has not reported, and what must stay meanwhile."""

    id: UUID
    user_id: UUID
    requested_at: datetime
    deadline: datetime
    holds: tuple[Hold, ...] = ()
    holds_version: int = 0

    @classmethod
    def of(cls, row: Sequence[Any]) -> Self:
        """Return the erasure in a row of `OPEN_COLUMNS`."""
        return cls._make([*row[:-2], holds_of(row[-2]), row[-1]])


OPEN_COLUMNS = [_ERASURES.c[name] for name in OpenErasure._fields]


class Closed(NamedTuple):
    """Whether an account was open that is closed now, whether sessions have ended, and what is held of it."""

    was_open: bool
    signed_out: bool
    holds: tuple[Hold, ...]


class OldestOpen(NamedTuple):
    """How many erasures are open since before some moment, and since when the oldest of them is."""

    number: int
    since: datetime


def _closing() -> Select[Any]:
    of, erasure, at = (
        bindparam("of", type_=Uuid),
        bindparam("erasure", type_=Uuid),
        bindparam("at", type_=Moment),
    )
    closed = (
        update(_USERS)
        .where(_USERS.c.id == of, _USERS.c.erasure_id.is_(None))
        .values(is_active=False, erasure_id=erasure, updated_at=at)
        .returning(_USERS.c.id)
        .cte("closed")
    )
    columns: dict[str, Any] = {
        "id": erasure,
        "user_id": closed.c.id,
        "status_token_hash": bindparam("token", type_=String),
        "requested_at": bindparam("requested", type_=Moment),
        "deadline": bindparam("until", type_=Moment),
        "grace_until": bindparam("grace", type_=Moment),
        "asked_at": at,
        "times_asked": literal(1),
        "erasing_at": at,
        "holds": stated_of(of),
    }
    opened = insert(_ERASURES).from_select(list(columns), select(*columns.values())).cte("opened")
    waiting = select(erasure, _taking_part(of)).where(exists(select(closed.c.id)))
    parts = insert(_PARTS).from_select(["erasure_id", *_TAKING_PART], waiting).cte("parts")
    mails = delete(Mail).where(Mail.user_id == of, Mail.settled_at.is_(None), Mail.kind.in_(WITH_LINK))
    tokens = delete(MailToken).where(MailToken.user_id == of)
    gone = ending(Session.user_id == of)
    held = update(HOLDS).where(HOLDS.c.user_id == of, exists(select(closed.c.id))).values(erasure_id=erasure)
    answer = select(exists(select(closed.c.id)), exists(select(gone.c.id)), stated_of(of))
    dropped = mails.cte("mails_dropped"), tokens.cte("tokens_dropped")
    return cast("Select[Any]", answer).add_cte(opened, parts, held.cte("held"), *dropped, revoked(gone))


def _taking_part(of: BindParameter[UUID]) -> Subquery:
    """Return who takes part in the erasure of a person, and who would have if it had not been retired."""
    # Announcements add participants; the topology keeps one that has never started yet from being left out.
    known = bindparam("services", type_=ARRAY(String))
    columns = (Participant.service, Participant.retired_at, Participant.retired_reason)
    # A service that was gone before the account began never heard of the person.
    born = select(_USERS.c.created_at).where(_USERS.c.id == of).scalar_subquery()
    announced = select(*columns).where(
        Participant.handles.contains(["erasure"]),
        Participant.service != all_(known),
        or_(Participant.retired_at.is_(None), Participant.retired_at > born),
    )
    expected = select(func.unnest(known).label("service"), *(null().label(it) for it in _TAKING_PART[1:]))
    return expected.union_all(announced).subquery()


def _asking_again() -> Any:
    asked = _ERASURES.c.times_asked
    long_ago = (
        (asked >= step if step == _STEPS[-1] else asked == step)
        & (_ERASURES.c.asked_at <= bindparam(f"before_{step}"))
        for step in _STEPS
    )
    due = (
        select(_ERASURES.c.id)
        .where(_OPEN, _NOT_HELD, or_(*long_ago))
        .order_by(_ERASURES.c.asked_at)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    statement = (
        update(_ERASURES)
        .where(_ERASURES.c.id == due.c.id)
        .values(asked_at=bindparam("at"), times_asked=asked + 1)
    )
    return statement.returning(*OPEN_COLUMNS)


def _marking_overdue() -> Any:
    missing = select(func.array_agg(_PARTS.c.service)).where(
        _PARTS.c.erasure_id == _ERASURES.c.id,
        _PARTS.c.completed_at.is_(None),
        _PARTS.c.retired_at.is_(None),
        _PARTS.c.held_at.is_(None),
    )
    late = (
        select(_ERASURES.c.id)
        .where(_OPEN, _NOT_HELD, _ERASURES.c.overdue_at.is_(None), _ERASURES.c.deadline <= bindparam("at"))
        .order_by(_ERASURES.c.deadline)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
        .cte("late")
    )
    statement = update(_ERASURES).where(_ERASURES.c.id == late.c.id).values(overdue_at=bindparam("at"))
    return statement.returning(_ERASURES.c.id, _ERASURES.c.deadline, missing.scalar_subquery())


def _waiting() -> Select[Any]:
    reported = exists().where(
        _PARTS.c.erasure_id == _ERASURES.c.id,
        _PARTS.c.service == bindparam("service"),
        or_(_PARTS.c.completed_at.is_not(None), _PARTS.c.held_at.is_not(None)),
    )
    statement = select(*OPEN_COLUMNS).where(_OPEN, _ERASURES.c.id > bindparam("after"), ~reported)
    return statement.order_by(_ERASURES.c.id).limit(bindparam("most"))


_CLOSE = _closing()
_ASK_AGAIN = _asking_again()
_MARK_OVERDUE = _marking_overdue()
_WAITING = _waiting()


class Erasures(Repository):
    """Requests to be erased and what the participants said."""

    async def close_account(
        self,
        erasure: OpenErasure,
        *,
        token_hash: str,
        services: Sequence[str],
        end: SessionEnd,
        grace_until: datetime | None = None,
    ) -> Closed:
        """Close the account, open its erasure, end its sessions and make its mailed links useless.

        `services` take part, and those that have announced it. The caller has locked the account.
        """
        values = {
            "of": erasure.user_id,
            "erasure": erasure.id,
            "requested": erasure.requested_at,
            "grace": grace_until,
            "until": erasure.deadline,
            "token": token_hash,
            "services": list(services),
            **end.values(),
        }
        was_open, ended, holds = (await self._session.execute(_CLOSE, values)).one()
        return Closed(was_open, ended, holds_of(holds))

    async def holds_version(self, erasure_id: UUID) -> int:
        """Return how often the holds of an erasure have changed."""
        found = select(Erasure.holds_version).where(Erasure.id == erasure_id)
        return int(await self._session.scalar(found) or 0)

    async def find(self, erasure_id: UUID) -> Erasure | None:
        """Return the erasure."""
        return await self._session.get(Erasure, erasure_id)

    async def participants(self, erasure_id: UUID) -> Sequence[ErasureParticipant]:
        """Return what each participant said, by name."""
        statement = (
            select(ErasureParticipant)
            .where(ErasureParticipant.erasure_id == erasure_id)
            .order_by(ErasureParticipant.service)
        )
        return (await self._session.scalars(statement)).all()

    async def open_since(self, before: datetime) -> OldestOpen | None:
        """Return how many have been at work since before that moment, and since when; None for none.

        Nobody works on one that waits for nothing but the end of a hold.
        """
        begun = func.coalesce(_ERASURES.c.resumed_at, _ERASURES.c.requested_at)
        statement = select(func.count(), func.min(begun)).where(_OPEN, _NOT_HELD, begun < before)
        number, since = (await self._session.execute(statement)).one()
        return OldestOpen(number, since) if number else None

    async def waiting_for(self, service: str, *, after: UUID | None, limit: int) -> list[OpenErasure]:
        """Return open erasures that `service` has not reported, in order of their ids, after `after`."""
        values = {"service": service, "after": after or _FIRST, "most": limit}
        return [OpenErasure.of(row) for row in await self._session.execute(_WAITING, values)]

    async def ask_again(self, *, now: datetime, base_pause: timedelta, limit: int) -> list[OpenErasure]:
        """Note for the erasures that were asked about longest ago that they are asked about once more."""
        before = {f"before_{step}": now - reminder_pause(step, base_pause) for step in _STEPS}
        rows = await self._session.execute(_ASK_AGAIN, {"at": now, "most": limit, **before})
        return [OpenErasure.of(row) for row in rows]

    async def mark_overdue(self, *, now: datetime, limit: int) -> list[tuple[UUID, datetime, list[str]]]:
        """Note once that a deadline has passed; return which, when, and who has not reported."""
        rows = await self._session.execute(_MARK_OVERDUE, {"at": now, "most": limit})
        return [(erasure_id, deadline, sorted(missing)) for erasure_id, deadline, missing in rows]

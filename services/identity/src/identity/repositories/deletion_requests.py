"""Every query about accounts that are frozen until their erasure begins."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Select, String, Table, Uuid, bindparam, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.repository import Repository
from chassis.tables import Moment
from identity.mail.policy import WITH_LINK
from identity.models import DeletionRequest, Mail, MailToken, Session, User
from identity.repositories.sessions import SessionEnd, ending, revoked

_REQUESTS = cast("Table", DeletionRequest.__table__)
_USERS = cast("Table", User.__table__)


class FrozenAccount(NamedTuple):
    """An account whose owner can still change their mind, and the erasure that will be."""

    erasure_id: UUID
    user_id: UUID
    status_token_hash: str
    requested_at: datetime
    deadline: datetime
    grace_until: datetime


_FIELDS = [_REQUESTS.c[name] for name in FrozenAccount._fields]


def _freezing() -> Select[Any]:
    of, at = bindparam("of", type_=Uuid), bindparam("at", type_=Moment)
    frozen = (
        update(_USERS)
        .where(_USERS.c.id == of, _USERS.c.is_active, _USERS.c.erasure_id.is_(None))
        .values(is_active=False, updated_at=at)
        .returning(_USERS.c.id)
        .cte("frozen")
    )
    columns: dict[str, Any] = {
        "erasure_id": bindparam("erasure", type_=Uuid),
        "user_id": frozen.c.id,
        "status_token_hash": bindparam("token", type_=String),
        "requested_at": at,
        "deadline": bindparam("until", type_=Moment),
        "grace_until": bindparam("grace", type_=Moment),
        "told_at": at,
    }
    asked = insert(_REQUESTS).from_select(list(columns), select(*columns.values())).cte("asked")
    mails = delete(Mail).where(Mail.user_id == of, Mail.settled_at.is_(None), Mail.kind.in_(WITH_LINK))
    tokens = delete(MailToken).where(MailToken.user_id == of)
    gone = ending(Session.user_id == of)
    answer = select(exists(select(frozen.c.id)), exists(select(gone.c.id)))
    return cast("Select[Any]", answer).add_cte(
        asked, mails.cte("mails_dropped"), tokens.cte("tokens_dropped"), revoked(gone)
    )


_FREEZE = _freezing()


class DeletionRequests(Repository):
    """Requests to be erased that can be canceled."""

    async def freeze(self, account: FrozenAccount, *, end: SessionEnd) -> tuple[bool, bool]:
        """Close the account, keep the request, end its sessions and make its mailed links useless.

        Returns whether it was open, and whether sessions have ended. The caller has locked the account.
        """
        values = {
            "of": account.user_id,
            "erasure": account.erasure_id,
            "token": account.status_token_hash,
            "until": account.deadline,
            "grace": account.grace_until,
            **end.values(),
        }
        was_open, ended = (await self._session.execute(_FREEZE, values)).one()
        return was_open, ended

    async def find(self, erasure_id: UUID) -> FrozenAccount | None:
        """Return the request of that erasure, while it can be canceled."""
        query = select(*_FIELDS).where(_REQUESTS.c.erasure_id == erasure_id)
        row = (await self._session.execute(query)).one_or_none()
        return None if row is None else FrozenAccount(*row)

    async def take(self, user_id: UUID) -> FrozenAccount | None:
        """Take a person's request away, to cancel it or to carry it out; the caller holds the account."""
        statement = delete(_REQUESTS).where(_REQUESTS.c.user_id == user_id).returning(*_FIELDS)
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else FrozenAccount(*row)

    async def due(self, *, now: datetime, limit: int) -> Sequence[UUID]:
        """Return whose grace is over, the longest first."""
        query = select(_REQUESTS.c.user_id).where(_REQUESTS.c.grace_until <= now)
        return (await self._session.scalars(query.order_by(_REQUESTS.c.grace_until).limit(limit))).all()

    async def tell_again(self, *, before: datetime, now: datetime, limit: int) -> list[FrozenAccount]:
        """Note for the requests told of last before that moment that they are told of once more."""
        stale = (
            select(_REQUESTS.c.erasure_id)
            .where(_REQUESTS.c.told_at <= before)
            .order_by(_REQUESTS.c.told_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("stale")
        )
        statement = (
            update(_REQUESTS)
            .where(_REQUESTS.c.erasure_id == stale.c.erasure_id)
            .values(told_at=now)
            .returning(*_FIELDS)
        )
        return [FrozenAccount(*row) for row in await self._session.execute(statement)]

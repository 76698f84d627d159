"""Every query about mails and the tokens in their links."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, func, select, update

from chassis import scripts
from chassis.ids import new_id
from chassis.repository import Repository
from chassis.tables import Moment
from identity.mail.policy import WITH_LINK, MailKind
from identity.models import Mail, MailToken, User

KEEP_SETTLED = timedelta(days=7)
MAILS = cast("Table", Mail.__table__)
UNSETTLED = MAILS.c.settled_at.is_(None)


def _good(token_hash: str, *, purposes: Sequence[str], now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        MailToken.token_hash == token_hash,
        MailToken.purpose.in_(purposes),
        MailToken.expires_at > now,
    )


def new_mail(*, user_id: UUID | None, kind: MailKind, new_address: str | None, now: datetime) -> str:
    """Return the script that asks for a mail."""
    row = {
        "id": new_id(),
        "user_id": user_id,
        "kind": kind.value,
        "new_address": new_address,
        "requested_at": now,
    }
    return scripts.insert_row(MAILS, row)


class Mails(Repository):
    """Mails and their tokens."""

    async def unsettled(self, *, before: datetime, limit: int) -> Sequence[Mail]:
        """Return mails asked for before that moment and neither sent nor refused, oldest first."""
        statement = (
            select(Mail)
            .where(Mail.settled_at.is_(None), Mail.requested_at < before)
            .order_by(Mail.requested_at)
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()

    @staticmethod
    def farewell_has_left(tasks: Table, *, since: Callable[[], datetime]) -> ColumnElement[bool]:
        """Return what tells the erasures that may begin: without the account the last mail has no address.

        A mail that was asked for before `since` keeps nothing waiting.
        """
        mail = MAILS.c
        young = mail.requested_at > bindparam("young_since", callable_=since, type_=Moment)
        farewell = and_(mail.user_id == tasks.c.user_id, mail.kind == MailKind.ACCOUNT_DELETED.value)
        return ~select(mail.id).where(farewell, UNSETTLED, young).exists()

    def add_token(self, token: MailToken) -> None:
        """Insert the right that a link carries."""
        self._session.add(token)

    async def let_erasure_begin(self, tasks: Table, user_id: UUID) -> None:
        """Make the erasure of a person due whose last mail has left."""
        now = func.clock_timestamp()
        open_task = (tasks.c.user_id == user_id) & (tasks.c.next_attempt_at > now)
        await self._session.execute(update(tasks).where(open_task).values(next_attempt_at=now))

    async def owner_of(self, token_hash: str, *, purposes: Sequence[str], now: datetime) -> UUID | None:
        """Return whose the token is, while it is good for that.

        Whoever uses it up locks that account first, as does everybody who makes tokens useless.
        """
        return await self._session.scalar(
            select(MailToken.user_id).where(*_good(token_hash, purposes=purposes, now=now))
        )

    async def lock_token(
        self, token_hash: str, *, purposes: Sequence[str], now: datetime
    ) -> MailToken | None:
        """Return a token that is good, used or not, locked until the transaction ends."""
        return await self._session.scalar(
            select(MailToken)
            .where(*_good(token_hash, purposes=purposes, now=now))
            .with_for_update()
            .execution_options(populate_existing=True)
        )

    async def take_token(
        self, token_hash: str, *, purposes: Sequence[str], now: datetime
    ) -> MailToken | None:
        """Use a token up; None when it is unknown, used, expired or for something else.

        Of two uses at once the delete lets one through.
        """
        unused = (*_good(token_hash, purposes=purposes, now=now), MailToken.used_at.is_(None))
        return await self._session.scalar(delete(MailToken).where(*unused).returning(MailToken))

    async def address_behind(self, token_hash: str, *, purposes: Sequence[str], now: datetime) -> str | None:
        """Return the address of the person whom an unused token belongs to; the token stays good."""
        statement = (
            select(User.email)
            .join(MailToken, MailToken.user_id == User.id)
            .where(*_good(token_hash, purposes=purposes, now=now))
        )
        return await self._session.scalar(statement)

    async def drop_tokens(
        self, user_id: UUID, *, kinds: Sequence[MailKind] = WITH_LINK, keep: str = ""
    ) -> None:
        """Make a person's open links useless, and send none that was asked for before this moment.

        The token with the hash `keep` stays. The caller has locked the account. A mail that is being sent now
        may still arrive; its link is dead.
        """
        waiting = (
            select(Mail.id)
            .where(Mail.user_id == user_id, Mail.settled_at.is_(None), Mail.kind.in_(kinds))
            .with_for_update()
        )
        await self._session.execute(delete(Mail).where(Mail.id.in_(waiting)))
        await self._session.execute(
            delete(MailToken).where(
                MailToken.user_id == user_id, MailToken.purpose.in_(kinds), MailToken.token_hash != keep
            )
        )

    async def count_open_links(self, user_id: UUID) -> int:
        """Return how many mails with a link to this person have not been sent yet."""
        statement = select(func.count()).where(
            Mail.user_id == user_id, Mail.settled_at.is_(None), Mail.kind.in_(WITH_LINK)
        )
        return await self._session.scalar(statement) or 0

    async def forget_old(self, *, now: datetime) -> None:
        """Delete expired tokens and mails settled a week ago."""
        await self._session.execute(delete(MailToken).where(MailToken.expires_at <= now))
        await self._session.execute(delete(Mail).where(Mail.settled_at <= now - KEEP_SETTLED))

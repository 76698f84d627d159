"""Every query about mails and the tokens in their links."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from identity.models import Mail, MailToken

KEEP_SETTLED = timedelta(days=7)


class Mails:
    """Mails and their tokens."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, mail: Mail) -> None:
        """Insert a mail."""
        self._session.add(mail)

    async def lock(self, mail_id: UUID) -> Mail | None:
        """Return the mail, locked until the transaction ends."""
        return await self._session.get(Mail, mail_id, with_for_update=True)

    async def unsettled(self, *, before: datetime, limit: int) -> Sequence[Mail]:
        """Return mails asked for before that moment and neither sent nor refused, oldest first."""
        statement = (
            select(Mail)
            .where(Mail.settled_at.is_(None), Mail.requested_at < before)
            .order_by(Mail.requested_at)
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()

    async def has_unsettled(self, user_id: UUID, *, kind: str, since: datetime) -> bool:
        """Tell whether a mail of that kind, younger than `since`, still waits to be sent."""
        statement = select(Mail.id).where(
            Mail.user_id == user_id, Mail.kind == kind, Mail.settled_at.is_(None), Mail.requested_at > since
        )
        return await self._session.scalar(statement.limit(1)) is not None

    async def count(self, user_id: UUID) -> int:
        """Return how many mails of a person are kept."""
        statement = select(func.count()).select_from(Mail).where(Mail.user_id == user_id)
        return int(await self._session.scalar(statement) or 0)

    def add_token(self, token: MailToken) -> None:
        """Insert a token."""
        self._session.add(token)

    async def take_token(
        self, token_hash: str, *, purposes: Sequence[str], now: datetime
    ) -> MailToken | None:
        """Use a token up; None when it is unknown, used, expired or for something else.

        Of two uses at once the delete lets one through.
        """
        statement = (
            delete(MailToken)
            .where(
                MailToken.token_hash == token_hash,
                MailToken.purpose.in_(purposes),
                MailToken.expires_at > now,
            )
            .returning(MailToken)
        )
        return await self._session.scalar(statement)

    async def drop_tokens(self, user_id: UUID) -> None:
        """Make every open link of a person useless."""
        await self._session.execute(delete(MailToken).where(MailToken.user_id == user_id))

    async def forget_old(self, *, now: datetime) -> None:
        """Delete expired tokens and mails settled a week ago."""
        await self._session.execute(delete(MailToken).where(MailToken.expires_at <= now))
        await self._session.execute(delete(Mail).where(Mail.settled_at <= now - KEEP_SETTLED))

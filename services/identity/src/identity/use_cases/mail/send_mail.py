"""Send the mails that were asked for: the link is stored, then the mail leaves, then the row is settled.

A mail whose sending was doubtful is sent again, as the same message (RFC 5322 §3.6.4); the links of every
attempt work.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.errors import MessageError
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import structlog

from chassis.db import Database, UnitOfWork
from chassis.work_table import Claimed, Depth, WorkTable
from identity.limits import AccountLimits
from identity.mail.policy import RESETS, UNASKED, MailKind
from identity.mail.templates import TEMPLATES, render, with_ascii_domain
from identity.mail.transport import MailPostponed, MailRefused, MailServerUnavailable, SmtpTransport
from identity.models import MailToken, User
from identity.repositories import MAILS, UNSETTLED, Mails, Users
from identity.tokens import capability_hash, new_capability

LEASE_SECONDS = 60.0
"""Longer than a mail may take to send, so that nobody else sends it meanwhile."""
BACKOFF_SECONDS = (30.0, 1800.0)
GIVE_UP_AFTER = timedelta(days=1)
"""Greylisting takes hours, a mailbox that is full or a domain that is away longer than this is gone."""
WORKERS = 8

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sender:
    """How mails leave: the server, who they come from and where their links lead."""

    transport: SmtpTransport
    address: str
    link_base: str
    verify_for: timedelta
    reset_for: timedelta
    cancel_for: timedelta

    def good_for(self, kind: MailKind) -> timedelta:
        """Return how long the link of such a mail is good."""
        if kind is MailKind.DELETION_SCHEDULED:
            return self.cancel_for
        return self.reset_for if kind in RESETS else self.verify_for


@dataclass(frozen=True)
class OutgoingMail:
    """A mail on its way, and whom it goes to."""

    message: EmailMessage
    recipient: str


class MailDelivery:
    """Sends mails; any number of processes may run it."""

    def __init__(
        self, database: Database, sender: Sender, limits: AccountLimits, *, outage: timedelta
    ) -> None:
        """After `outage` without a mail server the check of health fails."""
        self._database = database
        self._sender = sender
        self._limits = limits
        self._outage_seconds = outage.total_seconds()
        self._unavailable_since: float | None = None
        self._mails = WorkTable(
            database,
            MAILS,
            open_rows=UNSETTLED,
            since=MAILS.c.requested_at,
            lease_seconds=LEASE_SECONDS,
            backoff_seconds=BACKOFF_SECONDS,
        )

    async def run(self) -> None:
        """Send what is due until cancelled."""
        await self._mails.run(self._deliver, workers=WORKERS, holds=(MailServerUnavailable,))

    async def work_once(self, *, limit: int = WORKERS) -> int:
        """Try to send what is due, at most `limit` mails, once; return how many mails there were."""
        return await self._mails.work_once(self._deliver, limit=limit)

    async def depth(self) -> Depth:
        """Return how many mails wait, and for how long the oldest has."""
        return await self._mails.depth()

    async def check(self) -> str | None:
        """Tell how many mails wait and how old the oldest is.

        Raises `MailServerUnavailable` when nothing could be sent for too long.
        """
        since = self._unavailable_since
        if since is not None and time.monotonic() - since > self._outage_seconds:
            raise MailServerUnavailable
        depth = await self.depth()
        return (
            f"{depth.waiting} waiting, the oldest for {depth.oldest_seconds:.0f} s" if depth.waiting else None
        )

    async def _deliver(self, claimed: Claimed) -> None:
        row = claimed.row
        try:
            mail = await self._prepare(claimed)
            if mail is not None:
                await self._admit(claimed, mail)
                await self._send(mail)
        except MailRefused as refusal:
            await self._settle(claimed, refused=str(refusal))
        except MailPostponed as fault:
            if self._database.clock.now() - row.requested_at > GIVE_UP_AFTER:
                await self._settle(claimed, refused=str(fault))
            else:
                log.info("mail_postponed", mail_id=str(row.id), kind=row.kind, code=str(fault))
                await self._mails.postpone(claimed, str(fault))
        else:
            await self._settle(claimed)

    async def _prepare(self, claimed: Claimed) -> OutgoingMail | None:
        """Store the right that the link carries, and return the mail; None when nobody is to get one.

        Raises `MailRefused` when its address fits into no header.
        """
        row, now = claimed.row, self._database.clock.now()
        kind, capability = MailKind(row.kind), new_capability()
        async with self._database.unit_of_work() as uow:
            # Whoever makes old links useless has locked the account, and has taken the mail away by now.
            user = await Users(uow.session).share(row.user_id) if row.user_id else None
            await self._mails.keep(uow.session, claimed, last_error=None)
            if user is None:
                return None
            if TEMPLATES[kind].path:
                token = _token(row, kind, capability, expires_at=now + self._sender.good_for(kind))
                Mails(uow.session).add_token(token)
        return _written(self._sender, row, user, capability)

    async def _admit(self, claimed: Claimed, mail: OutgoingMail) -> None:
        """Raise `MailRefused` when the recipient got too many mails of strangers; an attempt counts once.

        Counted here and not when the mail is asked for: no answer, and no time of one, tells of it.
        """
        row = claimed.row
        if row.admitted or row.kind not in UNASKED:
            return
        first = row.kind == MailKind.VERIFY_ADDRESS
        if not await self._limits.before_unasked_mail(mail.recipient, confirmation=first):
            raise MailRefused("mail-recipient")
        async with self._database.unit_of_work() as uow:
            await self._mails.keep(uow.session, claimed, admitted=True)

    async def _send(self, mail: OutgoingMail) -> None:
        try:
            await self._sender.transport.send(mail.message, recipient=mail.recipient)
        except MailServerUnavailable:
            self._unavailable_since = self._unavailable_since or time.monotonic()
            raise
        except (MailPostponed, MailRefused):
            self._unavailable_since = None
            raise
        self._unavailable_since = None

    async def _settle(self, claimed: Claimed, *, refused: str | None = None) -> None:
        row = claimed.row
        if refused is not None:
            log.warning("mail_refused", mail_id=str(row.id), kind=row.kind, code=refused)
        async with self._database.unit_of_work() as uow:
            await self._mails.settle(
                uow.session,
                claimed,
                settled_at=self._database.clock.now(),
                refused=refused is not None,
                last_error=refused,
            )
            if row.kind == MailKind.ACCOUNT_DELETED:
                await _begin_erasure(uow, row.user_id)


async def _begin_erasure(uow: UnitOfWork, user_id: UUID) -> None:
    """Let identity's part in the erasure go on now: it waited for this mail."""
    await Mails(uow.session).let_erasure_begin(uow.tables.erasure_tasks, user_id)
    uow.wake(uow.tables.erasure_tasks.name)


def _written(sender: Sender, row: Any, user: User, capability: str) -> OutgoingMail:
    kind, path = MailKind(row.kind), TEMPLATES[MailKind(row.kind)].path
    try:
        recipient = with_ascii_domain(row.new_address or user.email)
        message = render(
            kind,
            mail_id=row.id,
            sender=sender.address,
            recipient=recipient,
            # Behind the `#` the token stays in the browser: no server, proxy or log on the way sees it.
            link=f"{sender.link_base}{path}#token={capability}" if path else None,
            good_for=sender.good_for(kind),
            now=row.requested_at,
        )
    except (MessageError, ValueError, LookupError) as error:
        raise MailRefused(type(error).__name__) from None
    return OutgoingMail(message, recipient)


def _token(row: Any, kind: MailKind, capability: str, *, expires_at: datetime) -> MailToken:
    return MailToken(
        token_hash=capability_hash(capability),
        user_id=row.user_id,
        purpose=kind.value,
        new_address=row.new_address,
        expires_at=expires_at,
    )

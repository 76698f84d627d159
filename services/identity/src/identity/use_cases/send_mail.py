"""Send a mail that was asked for, once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from chassis.db import UnitOfWork
from identity.letters import LETTERS, write
from identity.mail_kinds import MailKind
from identity.models import Mail, MailToken, User
from identity.post import MailRefused, Post
from identity.repositories import Mails, Users
from identity.tokens import capability_hash, new_capability

RESETS = frozenset({MailKind.RESET_PASSWORD, MailKind.BEGIN_ANEW})

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sender:
    """How mails leave: the server, who they come from and where their links lead."""

    post: Post
    address: str
    link_base: str
    verify_for: timedelta
    reset_for: timedelta

    def good_for(self, kind: MailKind) -> timedelta:
        """Return how long the link of such a mail is good."""
        return self.reset_for if kind in RESETS else self.verify_for


async def send_mail(uow: UnitOfWork, sender: Sender, *, mail_id: UUID, now: datetime) -> None:
    """Send the mail and remember it; harmless when it was sent, or when its person is gone.

    Raises `MailServerUnavailable` when the server can't be reached; the mail stays to be sent.
    """
    mails = Mails(uow.session)
    mail = await mails.lock(mail_id)
    if mail is None or mail.settled_at is not None:
        return
    mail.settled_at = now
    user = await Users(uow.session).find(mail.user_id) if mail.user_id else None
    if user is None:
        return
    kind, capability, known_state = MailKind(mail.kind), new_capability(), user.updated_at
    path = LETTERS[kind].path
    message = write(
        kind,
        sender=sender.address,
        recipient=mail.new_address or user.email,
        # Behind the `#` the token stays in the browser: no server, proxy or log on the way sees it.
        link=f"{sender.link_base}{path}#token={capability}" if path else None,
        good_for=sender.good_for(kind),
        now=now,
    )
    try:
        await sender.post.send(message)
        if path:
            await mails.add_token(_token(sender, user, mail, kind, capability, now), as_of=known_state)
    except MailRefused as refusal:
        mail.refused = True
        log.warning("mail_refused", mail_id=str(mail.id), kind=mail.kind, code=str(refusal))


def _token(
    sender: Sender, user: User, mail: Mail, kind: MailKind, capability: str, now: datetime
) -> MailToken:
    return MailToken(
        token_hash=capability_hash(capability),
        user_id=user.id,
        purpose=kind.value,
        new_address=mail.new_address,
        expires_at=now + sender.good_for(kind),
    )

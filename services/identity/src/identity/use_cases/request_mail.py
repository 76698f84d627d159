"""Ask for a mail: a row and a message with its id, in the caller's transaction."""

from datetime import datetime
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.ids import new_id
from contracts import fields
from contracts.identity import MailRequested
from identity.mail_kinds import MailKind
from identity.models import Mail
from identity.repositories import Mails

# The event's word for kinds that it has none for; the row, which the worker reads, says which it is.
_SPOKEN = {
    MailKind.BEGIN_ANEW: MailKind.RESET_PASSWORD,
    MailKind.ACCOUNT_REPLACED: MailKind.ADDRESS_ALREADY_REGISTERED,
}


def request_mail(
    uow: UnitOfWork, *, user_id: UUID | None, kind: MailKind, now: datetime, new_address: str | None = None
) -> None:
    """Have a mail sent to the person, or to `new_address` when it is given.

    Without a person nothing will be sent; the same work is done, so that an answer takes as long whether or
    not an address has an account.
    """
    mail = Mail(id=new_id(), user_id=user_id, kind=kind.value, new_address=new_address, requested_at=now)
    Mails(uow.session).add(mail)
    uow.publish(MailRequested(mail_id=mail.id, kind=fields.MailKind(_SPOKEN.get(kind, kind))))

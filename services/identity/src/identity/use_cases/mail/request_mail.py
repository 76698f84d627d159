"""Ask for a mail: a row in the caller's transaction, which the worker finds."""

from uuid import UUID

from chassis.db import UnitOfWork
from identity.mail.policy import MailKind
from identity.repositories import MAILS, new_mail


def request_mail(
    uow: UnitOfWork, kind: MailKind, *, user_id: UUID | None, new_address: str | None = None
) -> None:
    """Have a mail sent to the person, or to `new_address` when it is given.

    Without a person nothing will be sent; the same work is done, so that an answer takes as long whether or
    not an address has an account.
    """
    uow.before_commit.append(new_mail(user_id=user_id, kind=kind, new_address=new_address, now=uow.now()))
    uow.wake(MAILS.name)

"""Have a link sent that erases an account, without saying whether there is one."""

from chassis.db import UnitOfWork
from identity.addresses import email_key
from identity.mail.policy import MailKind
from identity.repositories import Users
from identity.use_cases.mail.request_mail import request_mail


async def request_erasure(uow: UnitOfWork, *, email: str) -> None:
    """Ask for the mail; for an unknown address the same rows are written and nobody gets one."""
    user = await Users(uow.session).with_email(email_key(email))
    request_mail(uow, MailKind.CONFIRM_DELETION, user_id=user.id if user else None)

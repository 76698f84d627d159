"""Have a reset link sent, without saying whether there is an account."""

from chassis.db import UnitOfWork
from identity.addresses import email_key
from identity.mail.policy import MailKind
from identity.repositories import Users
from identity.use_cases.mail.request_mail import request_mail


async def request_password_reset(uow: UnitOfWork, *, email: str) -> None:
    """Ask for the mail; for an unknown address the same rows are written and nobody gets one."""
    user = await Users(uow.session).with_email(email_key(email))
    proved = user is None or user.is_verified
    kind = MailKind.RESET_PASSWORD if proved else MailKind.BEGIN_ANEW
    request_mail(uow, kind, user_id=user.id if user else None)

"""Ask for another address; it takes effect when its owner confirms it."""

from datetime import datetime
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import Unauthorized
from identity.addresses import email_key
from identity.mail.policy import MailKind
from identity.models import User
from identity.policy import EmailTaken
from identity.repositories import Mails, Users
from identity.use_cases.mail.request_mail import request_mail


async def request_email_change(
    uow: UnitOfWork, *, user_id: UUID, email: str, now: datetime, conceal: bool
) -> User:
    """Send the confirmation to the new address and tell the old one; only the last request counts.

    Raises `EmailTaken`, or with `conceal` tells the address's owner instead of the caller.
    """
    users = Users(uow.session)
    user = await users.lock(user_id)
    if user is None or not user.is_active:
        raise Unauthorized
    await Mails(uow.session).drop_tokens(user_id, kinds=(MailKind.CONFIRM_NEW_ADDRESS,))
    if email == user.email:
        return user
    holder = await users.with_email(email_key(email))
    if holder is None or holder.id == user.id:
        request_mail(uow, user_id=user_id, kind=MailKind.CONFIRM_NEW_ADDRESS, now=now, new_address=email)
    elif conceal:
        request_mail(uow, user_id=holder.id, kind=MailKind.ADDRESS_ALREADY_REGISTERED, now=now)
    else:
        raise EmailTaken
    request_mail(uow, user_id=user_id, kind=MailKind.ADDRESS_CHANGED, now=now)
    return user

"""Ask for another address; it takes effect when its owner confirms it."""

from uuid import UUID

from chassis.db import UnitOfWork
from identity.addresses import email_key
from identity.mail.policy import MailKind
from identity.models import User
from identity.policy import EmailTaken
from identity.repositories import Mails, Users
from identity.use_cases.accounts.lock_account import lock_account
from identity.use_cases.mail.request_mail import request_mail


async def request_email_change(uow: UnitOfWork, *, user_id: UUID, email: str, conceal: bool) -> User:
    """Send the confirmation to the new address and tell the old one; only the last request counts.

    Raises `EmailTaken`, or with `conceal` tells the address's owner instead of the caller.
    """
    user = await lock_account(uow, user_id)
    await Mails(uow.session).drop_tokens(user_id, kinds=(MailKind.CONFIRM_NEW_ADDRESS,))
    if email == user.email:
        return user
    holder = await Users(uow.session).with_email(email_key(email))
    if holder is None or holder.id == user.id:
        request_mail(uow, MailKind.CONFIRM_NEW_ADDRESS, user_id=user_id, new_address=email)
    elif conceal:
        request_mail(uow, MailKind.ADDRESS_ALREADY_REGISTERED, user_id=holder.id)
    else:
        raise EmailTaken
    request_mail(uow, MailKind.ADDRESS_CHANGED, user_id=user_id)
    return user

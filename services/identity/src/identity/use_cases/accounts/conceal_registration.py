"""Answer a registration of a taken address as if it had worked, and tell the owner instead."""

from chassis.db import UnitOfWork
from contracts.fields import AuthProvider
from identity.addresses import email_key
from identity.mail.policy import MailKind
from identity.models import User
from identity.policy import EmailTaken
from identity.repositories import Users
from identity.use_cases.accounts.register_user import new_account, register_user
from identity.use_cases.mail.request_mail import request_mail


async def register_or_conceal(uow: UnitOfWork, *, email: str, password_hash: str, tell_owner: bool) -> User:
    """Create the account, or return one that is stored nowhere when the address has one.

    Without `tell_owner` nobody gets a mail then; the same rows are written.
    """
    try:
        return await register_user(uow, email=email, password_hash=password_hash)
    except EmailTaken:
        owner = await Users(uow.session).with_email(email_key(email))
        told = owner.id if owner and tell_owner else None
        request_mail(uow, MailKind.ADDRESS_ALREADY_REGISTERED, user_id=told)
        return new_account(email, AuthProvider.EMAIL, now=uow.now())

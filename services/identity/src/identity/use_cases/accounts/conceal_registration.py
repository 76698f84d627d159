"""Answer a registration of a taken address as if it had worked, and tell the owner instead."""

from datetime import datetime

from chassis.db import UnitOfWork
from chassis.ids import new_id
from contracts.fields import AuthProvider
from identity.addresses import email_key
from identity.mail.policy import MailKind
from identity.models import User
from identity.policy import EmailTaken
from identity.repositories import Users
from identity.use_cases.accounts.register_user import register_user
from identity.use_cases.mail.request_mail import request_mail


async def register_or_conceal(
    uow: UnitOfWork, *, email: str, password_hash: str, now: datetime, tell_owner: bool
) -> User:
    """Create the account, or return one that is stored nowhere when the address has one.

    Without `tell_owner` nobody gets a mail then; the same rows are written.
    """
    try:
        return await register_user(uow, email=email, password_hash=password_hash, now=now)
    except EmailTaken:
        return await _pretend(uow, email=email, now=now, tell_owner=tell_owner)


async def _pretend(uow: UnitOfWork, *, email: str, now: datetime, tell_owner: bool) -> User:
    owner = await Users(uow.session).with_email(email_key(email))
    request_mail(
        uow,
        user_id=owner.id if owner and tell_owner else None,
        kind=MailKind.ADDRESS_ALREADY_REGISTERED,
        now=now,
    )
    return User(
        id=new_id(),
        email=email,
        email_key=email_key(email),
        auth_provider=AuthProvider.EMAIL.value,
        is_active=True,
        is_verified=False,
        is_admin=False,
        created_at=now,
        updated_at=now,
    )

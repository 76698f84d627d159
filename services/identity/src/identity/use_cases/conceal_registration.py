"""Answer a registration of a taken address as if it had worked, and tell the owner instead."""

from datetime import datetime

from chassis.db import UnitOfWork
from chassis.ids import new_id
from contracts.fields import AuthProvider, MailKind
from identity.models import User
from identity.policy import email_key
from identity.repositories import Users
from identity.use_cases.request_mail import request_mail


async def conceal_registration(uow: UnitOfWork, *, email: str, now: datetime) -> User:
    """Mail the owner of the address; return an account that is stored nowhere."""
    owner = await Users(uow.session).with_email(email_key(email))
    request_mail(
        uow,
        user_id=owner.id if owner else None,
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

"""Create an account."""

from datetime import datetime

from chassis.db import UnitOfWork
from chassis.ids import new_id
from contracts.fields import AuthProvider, MailKind
from contracts.identity import UserRegistered
from identity.models import User
from identity.policy import EmailTaken, email_key
from identity.repositories import Users
from identity.use_cases.request_mail import request_mail


async def register_user(
    uow: UnitOfWork, *, email: str, password_hash: str, now: datetime, as_admin: bool = False
) -> User:
    """Create the account and announce it; raises `EmailTaken` when the address has one."""
    user = User(
        id=new_id(),
        email=email,
        email_key=email_key(email),
        password_hash=password_hash,
        auth_provider=AuthProvider.EMAIL.value,
        is_active=True,
        is_verified=as_admin,
        is_admin=as_admin,
        created_at=now,
        updated_at=now,
    )
    # The unique index decides between two sign-ups at once; a look before would only be a guess.
    if not await Users(uow.session).add(user):
        raise EmailTaken
    if not as_admin:
        request_mail(uow, user_id=user.id, kind=MailKind.VERIFY_ADDRESS, now=now)
    uow.publish(UserRegistered(user_id=user.id, auth_provider=AuthProvider.EMAIL, registered_at=now))
    return user

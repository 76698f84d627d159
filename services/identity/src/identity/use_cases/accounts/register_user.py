"""Create an account and announce it; one that a password opens has its address confirmed."""

from datetime import datetime

from chassis.db import UnitOfWork
from chassis.ids import new_id
from contracts.fields import AuthProvider
from contracts.identity import UserRegistered, UserVerified
from identity.addresses import email_key
from identity.mail.policy import MailKind
from identity.models import User
from identity.policy import EmailTaken
from identity.repositories import Users
from identity.use_cases.mail.request_mail import request_mail


async def register_user(uow: UnitOfWork, *, email: str, password_hash: str) -> User:
    """Create the account and have its address confirmed; raises `EmailTaken` when the address has one."""
    user = await create_account(uow, email=email, provider=AuthProvider.EMAIL, password_hash=password_hash)
    if user is None:
        raise EmailTaken
    request_mail(uow, MailKind.VERIFY_ADDRESS, user_id=user.id)
    return user


async def create_account(
    uow: UnitOfWork,
    *,
    email: str,
    provider: AuthProvider,
    password_hash: str | None = None,
    verified: bool = False,
    admin: bool = False,
) -> User | None:
    """Return the new account, or None when the address has one.

    The unique index decides between two at once; a look before would only be a guess.
    """
    now = uow.now()
    user = new_account(email, provider, now=now)
    user.password_hash, user.is_verified, user.is_admin = password_hash, verified, admin
    if not await Users(uow.session).add(user):
        return None
    uow.publish(UserRegistered(user_id=user.id, auth_provider=provider, registered_at=now))
    if verified:
        uow.publish(UserVerified(user_id=user.id, verified_at=now))
    return user


def new_account(email: str, provider: AuthProvider, *, now: datetime) -> User:
    """Return an account as it begins, which is stored nowhere yet."""
    return User(
        id=new_id(),
        email=email,
        email_key=email_key(email),
        auth_provider=provider.value,
        is_active=True,
        is_verified=False,
        is_admin=False,
        created_at=now,
        updated_at=now,
    )

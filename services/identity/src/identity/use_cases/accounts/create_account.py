"""Insert an account and announce it."""

from datetime import datetime

from chassis.db import UnitOfWork
from chassis.ids import new_id
from contracts.fields import AuthProvider
from contracts.identity import UserRegistered, UserVerified
from identity.addresses import email_key
from identity.models import User
from identity.repositories import Users


async def create_account(
    uow: UnitOfWork,
    *,
    email: str,
    provider: AuthProvider,
    now: datetime,
    password_hash: str | None = None,
    verified: bool = False,
    admin: bool = False,
) -> User | None:
    """Return the new account, or None when the address has one.

    The unique index decides between two at once; a look before would only be a guess.
    """
    user = User(
        id=new_id(),
        email=email,
        email_key=email_key(email),
        password_hash=password_hash,
        auth_provider=provider.value,
        is_active=True,
        is_verified=verified,
        is_admin=admin,
        created_at=now,
        updated_at=now,
    )
    if not await Users(uow.session).add(user):
        return None
    uow.publish(UserRegistered(user_id=user.id, auth_provider=provider, registered_at=now))
    if verified:
        uow.publish(UserVerified(user_id=user.id, verified_at=now))
    return user

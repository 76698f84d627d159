"""Lock the account of a signed-in person."""

from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import Unauthorized
from identity.models import User
from identity.repositories import Users


async def lock_account(uow: UnitOfWork, user_id: UUID) -> User:
    """Return the account, locked until the transaction ends; raises `Unauthorized` when it is closed."""
    user = await Users(uow.session).lock(user_id)
    if user is None or not user.is_active:
        raise Unauthorized
    return user

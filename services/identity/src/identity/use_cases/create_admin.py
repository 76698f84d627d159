"""Make the account of an operator."""

from datetime import datetime

from chassis.db import UnitOfWork
from identity.models import User
from identity.use_cases.register_user import register_user


async def create_admin(uow: UnitOfWork, *, email: str, password_hash: str, now: datetime) -> User:
    """Create a verified account that may operate the platform; raises `EmailTaken`."""
    return await register_user(uow, email=email, password_hash=password_hash, now=now, as_admin=True)

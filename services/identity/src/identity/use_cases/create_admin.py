"""Make the account of an operator."""

from datetime import datetime

from chassis.db import UnitOfWork
from contracts.fields import AuthProvider
from identity.models import User
from identity.policy import EmailTaken
from identity.use_cases.create_account import create_account


async def create_admin(uow: UnitOfWork, *, email: str, password_hash: str, now: datetime) -> User:
    """Create a verified account that may operate the platform; raises `EmailTaken`."""
    admin = await create_account(
        uow,
        email=email,
        provider=AuthProvider.EMAIL,
        password_hash=password_hash,
        verified=True,
        admin=True,
        now=now,
    )
    if admin is None:
        raise EmailTaken
    return admin

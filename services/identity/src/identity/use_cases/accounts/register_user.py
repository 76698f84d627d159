"""Create an account that a password opens."""

from datetime import datetime

from chassis.db import UnitOfWork
from contracts.fields import AuthProvider
from identity.mail.policy import MailKind
from identity.models import User
from identity.policy import EmailTaken
from identity.use_cases.accounts.create_account import create_account
from identity.use_cases.mail.request_mail import request_mail


async def register_user(uow: UnitOfWork, *, email: str, password_hash: str, now: datetime) -> User:
    """Create the account and have its address confirmed; raises `EmailTaken` when the address has one."""
    user = await create_account(
        uow, email=email, provider=AuthProvider.EMAIL, password_hash=password_hash, now=now
    )
    if user is None:
        raise EmailTaken
    request_mail(uow, user_id=user.id, kind=MailKind.VERIFY_ADDRESS, now=now)
    return user

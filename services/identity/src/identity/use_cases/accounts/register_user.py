"""Create an account that a password opens."""

from chassis.db import UnitOfWork
from contracts.fields import AuthProvider
from identity.mail.policy import MailKind
from identity.models import User
from identity.policy import EmailTaken
from identity.use_cases.accounts.create_account import create_account
from identity.use_cases.mail.request_mail import request_mail


async def register_user(uow: UnitOfWork, *, email: str, password_hash: str) -> User:
    """Create the account and have its address confirmed; raises `EmailTaken` when the address has one."""
    user = await create_account(uow, email=email, provider=AuthProvider.EMAIL, password_hash=password_hash)
    if user is None:
        raise EmailTaken
    request_mail(uow, MailKind.VERIFY_ADDRESS, user_id=user.id)
    return user

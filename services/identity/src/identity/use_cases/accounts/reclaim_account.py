"""Erase an account whose address nobody had proved, and begin a new one for the person who has proved it."""

from chassis.db import UnitOfWork
from contracts.fields import AuthProvider
from identity.account_rules import AccountRules
from identity.mail.policy import MailKind
from identity.models import User
from identity.use_cases.accounts.register_user import create_account
from identity.use_cases.erasure.delete_account import delete_account
from identity.use_cases.mail.request_mail import request_mail


async def reclaim_account(
    uow: UnitOfWork,
    unproved: User,
    *,
    email: str,
    provider: AuthProvider,
    rules: AccountRules,
    password_hash: str | None = None,
) -> User | None:
    """Return the new, empty account; the caller has locked the unproved one. None: somebody was faster.

    Who mistypes an address, and who registers somebody else's and waits for its owner (Sudhodanan and Paverd,
    "Pre-hijacked accounts", 2022), is another person than its owner: neither may get what the other stores.
    Nobody has the status token of this erasure, because there is no way to the first person any more.
    """
    await delete_account(uow, user_id=unproved.id, rules=rules, farewell=False)
    user = await create_account(
        uow, email=email, provider=provider, password_hash=password_hash, verified=True
    )
    if user is not None:
        request_mail(uow, MailKind.ACCOUNT_REPLACED, user_id=user.id)
    return user

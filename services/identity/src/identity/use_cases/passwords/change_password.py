"""Change the password of a signed-in person; every other session ends."""

from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import Unauthorized
from contracts.fields import RevocationReason
from identity.account_rules import AccountRules
from identity.mail.policy import MailKind
from identity.repositories import Mails
from identity.use_cases.accounts.lock_account import lock_account
from identity.use_cases.mail.request_mail import request_mail
from identity.use_cases.sessions.log_out_everywhere import log_out_everywhere


async def change_password(
    uow: UnitOfWork,
    *,
    user_id: UUID,
    session_id: UUID,
    verified_hash: str | None,
    new_hash: str,
    rules: AccountRules,
) -> None:
    """Store the new hash, if the password that was checked is still the stored one; raises `Unauthorized`."""
    user = await lock_account(uow, user_id)
    if user.password_hash != verified_hash:
        raise Unauthorized
    user.password_hash, user.updated_at = new_hash, uow.now()
    await Mails(uow.session).drop_tokens(user_id)
    reason = RevocationReason.PASSWORD_CHANGE
    await log_out_everywhere(uow, user_id=user_id, reason=reason, rules=rules, keep=session_id)
    request_mail(uow, MailKind.PASSWORD_CHANGED, user_id=user_id)

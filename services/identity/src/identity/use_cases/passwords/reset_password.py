"""Choose a new password with the token of a mail; every session ends."""

from chassis.db import UnitOfWork
from contracts.fields import AuthProvider, RevocationReason
from identity.account_rules import AccountRules
from identity.mail.policy import RESETS, InvalidMailToken, MailKind
from identity.repositories import Mails
from identity.tokens import capability_hash
from identity.use_cases.accounts.reclaim_account import reclaim_account
from identity.use_cases.mail.lock_token_owner import lock_token_owner
from identity.use_cases.mail.request_mail import request_mail
from identity.use_cases.sessions.log_out_everywhere import log_out_everywhere


async def address_to_reset(uow: UnitOfWork, *, token: str) -> str:
    """Return whose password the token may set, without using it up; raises `InvalidMailToken`."""
    address = await Mails(uow.session).address_behind(capability_hash(token), purposes=RESETS, now=uow.now())
    if address is None:
        raise InvalidMailToken
    return address


async def reset_password(uow: UnitOfWork, *, token: str, password_hash: str, rules: AccountRules) -> None:
    """Set the password, end every session and tell the person; raises `InvalidMailToken`.

    The mail proves the address. If nobody had proved it before, somebody else may have made the account: then
    the person who has the mailbox gets a new one with this password, and the earlier one is erased.
    """
    mails, token_hash, now = Mails(uow.session), capability_hash(token), uow.now()
    user = await lock_token_owner(uow, token_hash, purposes=RESETS)
    if await mails.take_token(token_hash, purposes=RESETS, now=now) is None:
        raise InvalidMailToken
    if not user.is_verified:
        anew = await reclaim_account(
            uow,
            user,
            email=user.email,
            provider=AuthProvider.EMAIL,
            password_hash=password_hash,
            rules=rules,
        )
        if anew is None:
            raise InvalidMailToken
        return
    user.password_hash, user.updated_at = password_hash, now
    # Links that are still under way, to a changed address too, may have been asked for by somebody else.
    await mails.drop_tokens(user.id)
    await log_out_everywhere(uow, user_id=user.id, reason=RevocationReason.PASSWORD_RESET, rules=rules)
    request_mail(uow, MailKind.PASSWORD_CHANGED, user_id=user.id)

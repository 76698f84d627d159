"""Close an account at once and erase it later, so that its owner can still change their mind."""

from datetime import timedelta
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.ids import new_id
from chassis.problems import Unauthorized
from contracts.fields import RevocationReason
from contracts.identity import UserFrozen
from identity.account_rules import AccountRules
from identity.mail.policy import MailKind
from identity.repositories import DeletionRequests, FrozenAccount, Users
from identity.tokens import capability_hash, new_capability
from identity.use_cases.erasure.delete_account import Deletion
from identity.use_cases.mail.request_mail import request_mail
from identity.use_cases.sessions.end_session import announce_revocation


async def freeze_account(
    uow: UnitOfWork, *, user_id: UUID, rules: AccountRules, grace: timedelta
) -> Deletion:
    """Disable the account, end its sessions, mail the link that cancels, and have biometrics destroyed.

    Raises `Unauthorized` when the account is gone or closed.
    """
    if not await Users(uow.session).hold(user_id):
        raise Unauthorized
    now, reason = uow.now(), RevocationReason.DELETION
    token = new_capability()
    account = FrozenAccount(
        erasure_id=new_id(),
        user_id=user_id,
        status_token_hash=capability_hash(token),
        requested_at=now,
        deadline=now + rules.erasure,
        grace_until=now + grace,
    )
    was_open, signed_out = await DeletionRequests(uow.session).freeze(
        account, end=rules.session_end(reason, now)
    )
    if not was_open:
        raise Unauthorized
    request_mail(uow, MailKind.DELETION_SCHEDULED, user_id=user_id)
    announce_freeze(uow, account)
    if signed_out:
        announce_revocation(uow, user_id=user_id, session_id=None, reason=reason)
    return Deletion(account.erasure_id, now, token, grace_until=account.grace_until)


def announce_freeze(uow: UnitOfWork, account: FrozenAccount) -> None:
    """Tell those who destroy at once what can't wait; they do it once however often they hear."""
    uow.publish(
        UserFrozen(user_id=account.user_id, erasure_id=account.erasure_id, grace_until=account.grace_until)
    )

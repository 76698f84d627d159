"""Hand an account whose address nobody had proved to the person who has just proved it."""

from datetime import datetime, timedelta

from chassis.db import UnitOfWork
from contracts.fields import RevocationReason
from contracts.identity import UserVerified
from identity.models import User
from identity.repositories import Mails, Passkeys, ProviderIdentities
from identity.use_cases.log_out_everywhere import log_out_everywhere


async def reclaim_account(uow: UnitOfWork, user: User, *, now: datetime, token_lifetime: timedelta) -> None:
    """Take every way in from whoever made the account; the caller has locked it and adds the proved one.

    Anybody can register somebody else's address and wait for its owner (Sudhodanan and Paverd, "Pre-hijacked
    accounts", 2022): password, sessions, open links and other sign-ins of that time must not survive.
    """
    user.password_hash, user.is_verified, user.updated_at = None, True, now
    await ProviderIdentities(uow.session).unlink_all(user.id)
    await Passkeys(uow.session).remove_all(user.id)
    await Mails(uow.session).drop_tokens(user.id)
    await log_out_everywhere(
        uow, user_id=user.id, reason=RevocationReason.SECURITY, now=now, token_lifetime=token_lifetime
    )
    uow.publish(UserVerified(user_id=user.id, verified_at=now))

"""Let a provider open an account no longer."""

from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound
from contracts.fields import AuthProvider, RevocationReason
from identity.account_rules import AccountRules
from identity.policy import LastWayIn
from identity.repositories import ProviderIdentities
from identity.use_cases.accounts.count_sign_in_methods import count_sign_in_methods
from identity.use_cases.accounts.lock_account import lock_account
from identity.use_cases.sessions.log_out_everywhere import log_out_everywhere


async def unlink_provider(
    uow: UnitOfWork, *, user_id: UUID, session_id: UUID, provider: AuthProvider, rules: AccountRules
) -> None:
    """Remove the provider from the account, and end every other session: one may have been opened by it.

    Raises `NotFound` when it is not linked, and `LastWayIn` when nothing else would open the account. What
    Apple granted stays sealed until the erasure that revokes it.
    """
    user = await lock_account(uow, user_id)
    identities = ProviderIdentities(uow.session)
    going = [link for link in await identities.of(user_id) if link.provider == provider.value]
    if not going:
        raise NotFound
    if await count_sign_in_methods(uow, user) <= len(going):
        raise LastWayIn
    for link in going:
        await identities.unlink(link)
    reason = RevocationReason.ENDED_BY_USER
    await log_out_everywhere(uow, user_id=user_id, reason=reason, rules=rules, keep=session_id)

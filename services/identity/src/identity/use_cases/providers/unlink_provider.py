"""Let a provider open an account no longer."""

from datetime import datetime, timedelta
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound, Unauthorized
from contracts.fields import AuthProvider, RevocationReason
from identity.policy import LastWayIn
from identity.repositories import ProviderIdentities, Users
from identity.use_cases.accounts.count_sign_in_methods import count_sign_in_methods
from identity.use_cases.sessions.log_out_everywhere import log_out_everywhere


async def unlink_provider(
    uow: UnitOfWork,
    *,
    user_id: UUID,
    session_id: UUID,
    provider: AuthProvider,
    now: datetime,
    token_lifetime: timedelta,
) -> None:
    """Remove the provider from the account, and end every other session: one may have been opened by it.

    Raises `NotFound` when it is not linked, and `LastWayIn` when nothing else would open the account. What
    Apple granted stays sealed until the erasure that revokes it.
    """
    user = await Users(uow.session).lock(user_id)
    if user is None or not user.is_active:
        raise Unauthorized
    identities = ProviderIdentities(uow.session)
    going = [link for link in await identities.of(user_id) if link.provider == provider.value]
    if not going:
        raise NotFound
    if await count_sign_in_methods(uow, user) <= len(going):
        raise LastWayIn
    for link in going:
        await identities.unlink(link)
    await log_out_everywhere(
        uow,
        user_id=user_id,
        reason=RevocationReason.ENDED_BY_USER,
        now=now,
        token_lifetime=token_lifetime,
        keep=session_id,
    )

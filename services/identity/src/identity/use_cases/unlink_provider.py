"""Let a provider open an account no longer."""

from datetime import datetime, timedelta
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound, Unauthorized
from contracts.fields import AuthProvider, RevocationReason
from identity.providers.problems import LastWayIn
from identity.repositories import Passkeys, ProviderIdentities, Users
from identity.use_cases.log_out_everywhere import log_out_everywhere


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
    links = await identities.of(user_id)
    going = [link for link in links if link.provider == provider.value]
    if not going:
        raise NotFound
    others = user.password_hash is not None or len(links) > len(going)
    if not others and await Passkeys(uow.session).count(user_id) == 0:
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

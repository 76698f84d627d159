"""Take a passkey out of use."""

from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound
from identity.policy import LastWayIn
from identity.repositories import Passkeys
from identity.use_cases.accounts.count_sign_in_methods import count_sign_in_methods
from identity.use_cases.accounts.lock_account import lock_account


async def remove_passkey(uow: UnitOfWork, *, user_id: UUID, passkey_id: UUID) -> None:
    """Delete the passkey; raises `NotFound`, and `LastWayIn` when nothing else opens the account."""
    user = await lock_account(uow, user_id)
    if not await Passkeys(uow.session).remove(passkey_id, user_id=user_id):
        raise NotFound
    if await count_sign_in_methods(uow, user) == 0:
        raise LastWayIn

"""Take a passkey out of use."""

from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound, Unauthorized
from identity.repositories import Passkeys, Users


async def remove_passkey(uow: UnitOfWork, *, user_id: UUID, passkey_id: UUID) -> None:
    """Delete the passkey; raises `NotFound` when it is not the person's."""
    if await Users(uow.session).lock(user_id) is None:
        raise Unauthorized
    if not await Passkeys(uow.session).remove(passkey_id, user_id=user_id):
        raise NotFound

"""Take back at Apple what was granted for a person."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db import Database
from identity.providers import apple_grants
from identity.repositories import AppleGrants


async def revoke_grants(
    database: Database, apple: apple_grants.AppleGrants, *, user_ids: Sequence[UUID]
) -> None:
    """Revoke every grant of these people, and forget each one only when it is revoked.

    The provider is asked between two transactions, so that no connection waits for it; a crash in between
    revokes once more.
    """
    async with database.read_only() as session:
        grants = await AppleGrants(session).of(user_ids)
    for grant in grants:
        await apple.revoke(grant)
        async with database.unit_of_work() as uow:
            await AppleGrants(uow.session).drop(grant)

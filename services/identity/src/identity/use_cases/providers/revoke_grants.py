"""Take back at Apple what was granted for a person."""

from typing import Protocol
from uuid import UUID

from chassis.db import Database
from identity.models import AppleGrant
from identity.repositories import AppleGrants


class GrantRevoker(Protocol):
    """Revokes one grant where it was given; raises when it can't be told that this was done."""

    async def revoke(self, grant: AppleGrant) -> None:
        """Revoke the grant; harmless when repeated."""


async def revoke_grants(database: Database, revoker: GrantRevoker, *, user_id: UUID) -> None:
    """Revoke every grant of the person, and forget each one only when it is revoked.

    The provider is asked between two transactions, so that no connection waits for it; a crash in between
    revokes once more.
    """
    async with database.unit_of_work() as uow:
        grants = await AppleGrants(uow.session).of(user_id)
    for grant in grants:
        await revoker.revoke(grant)
        async with database.unit_of_work() as uow:
            await AppleGrants(uow.session).drop(grant)

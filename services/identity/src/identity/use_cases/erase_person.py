"""Identity's own part in an erasure."""

from uuid import UUID

from chassis.db import Database
from identity.repositories import Sessions, Users


class IdentityHoldings:
    """What identity holds of a person: the account and its sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, user_id: UUID) -> dict[str, int]:
        """Return what is held now, by kind."""
        async with self._database.unit_of_work() as uow:
            return {
                "accounts": await Users(uow.session).count(user_id),
                "sessions": await Sessions(uow.session).count(user_id),
            }

    async def erase(self, user_id: UUID) -> None:
        """Delete the account and its sessions; harmless when repeated."""
        async with self._database.unit_of_work() as uow:
            await Users(uow.session).destroy(user_id)

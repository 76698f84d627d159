"""Forget a person: nothing in this service leads to them any more, and the ledger still holds."""

from uuid import UUID

from chassis.db import Database
from consent.repositories import Gates, Ledger


class ConsentHoldings:
    """What consent holds of a person: the personal fields of their entries, and their gates."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, user_id: UUID) -> dict[str, int]:
        """Return what leads to the person now, by kind."""
        async with self._database.unit_of_work() as uow:
            return {
                "consent_entries": await Ledger(uow.session).count(user_id),
                "consent_gates": await Gates(uow.session).count(user_id),
            }

    async def erase(self, user_id: UUID) -> None:
        """Blank the person's entries and delete their gates; harmless when repeated."""
        async with self._database.unit_of_work() as uow:
            await Gates(uow.session).delete_of(user_id)
            await Ledger(uow.session).erase_person(user_id)

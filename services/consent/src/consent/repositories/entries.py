"""The query for one entry by its position."""

from chassis.repository import Repository
from consent.models import LedgerEntry


class Entries(Repository):
    """The entries of the ledger, by their position."""

    async def at(self, position: int) -> LedgerEntry | None:
        """Return the entry at a position."""
        return await self._session.get(LedgerEntry, position)

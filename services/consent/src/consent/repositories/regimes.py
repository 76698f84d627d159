"""The query about which laws hold for people, as their entries say."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select

from chassis.repository import Repository
from consent.models import LedgerEntry


class Regimes(Repository):
    """Under which laws entries were made."""

    async def of_people(self, user_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
        """Return the codes of the regimes that the entries of each were made under, of whom there are any."""
        regime = func.unnest(LedgerEntry.jurisdictions)
        query = select(LedgerEntry.user_id, regime).where(LedgerEntry.user_id.in_(user_ids)).distinct()
        found: dict[UUID, list[str]] = {}
        for user_id, code in await self._session.execute(query):
            if user_id is not None:
                found.setdefault(user_id, []).append(code)
        return found

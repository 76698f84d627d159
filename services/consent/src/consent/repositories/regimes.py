"""The query about which laws hold for people, as their entries say."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, true

from chassis.repository import Repository
from consent.models import LedgerEntry


class Regimes(Repository):
    """Under which laws entries were made."""

    async def of_people(self, user_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
        """Return the codes of the regimes that the entries of each were made under, of whom there are any."""
        regime = func.unnest(LedgerEntry.jurisdictions).column_valued("regime")
        query = (
            select(LedgerEntry.user_id, func.array_agg(regime.distinct()))
            .select_from(LedgerEntry)
            .join(regime, true())
            .where(LedgerEntry.user_id.in_(user_ids))
            .group_by(LedgerEntry.user_id)
        )
        rows = await self._session.execute(query)
        return {user_id: list(regimes) for user_id, regimes in rows if user_id is not None}

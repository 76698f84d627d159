"""Every query about the entries of a person as an erasure sees them."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy import text as sql

from chassis.repository import Repository
from consent.models import LedgerEntry


class EntriesOfPeople(Repository):
    """What leads from entries to people, until it is blanked.

    The service's role has no right to update entries: the functions of the schema are the only way, and
    blanking is all that they do. They raise what the driver raises for a right that is missing when no
    erasure of the person is open.
    """

    async def blank(self, user_ids: Sequence[UUID]) -> None:
        """Blank everything that leads to these people."""
        blanked = sql("SELECT consent.erase_person(person) FROM unnest(CAST(:people AS uuid[])) AS person")
        await self._session.execute(blanked, {"people": list(user_ids)})

    async def blank_all_but(self, user_id: UUID, consent_ids: Collection[UUID]) -> None:
        """Blank everything that leads to a person but the entries of these consents."""
        blanked = sql("SELECT consent.erase_person_but(CAST(:person AS uuid), CAST(:held AS uuid[]))")
        await self._session.execute(blanked, {"person": user_id, "held": list(consent_ids)})

    async def count(self, user_id: UUID, *, only: Collection[UUID] | None) -> int:
        """Return how many entries lead to a person, those of the consents among `only` if it is given."""
        found = select(func.count()).select_from(LedgerEntry).where(LedgerEntry.user_id == user_id)
        if only is not None:
            found = found.where(LedgerEntry.consent_id.in_(only))
        return await self._session.scalar(found) or 0

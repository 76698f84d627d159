"""Forget a person but for the entries that a law wants kept as they are."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db import Database
from chassis.holds import Hold, records_of
from consent.repositories.people import EntriesOfPeople

KIND = "consent_entries"


async def count_held_entries(database: Database, user_id: UUID, holds: Sequence[Hold]) -> int:
    """Return how many entries of a person the holds keep: those of a consent, or all."""
    if not any(hold.kind == KIND for hold in holds):
        return 0
    async with database.read_only() as session:
        return await EntriesOfPeople(session).count(user_id, only=records_of(KIND, holds))


async def blank_other_entries(database: Database, user_id: UUID, holds: Sequence[Hold]) -> None:
    """Blank every entry of a person that is not held; harmless when repeated."""
    if (held := records_of(KIND, holds)) is None:
        return
    async with database.unit_of_work() as uow:
        await EntriesOfPeople(uow.session).blank_all_but(user_id, held)

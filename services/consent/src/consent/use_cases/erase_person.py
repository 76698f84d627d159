"""Forget a person: nothing in the ledger leads to them any more, and it still holds."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db import Database
from consent.repositories.people import EntriesOfPeople


async def blank_entries(database: Database, user_ids: Sequence[UUID]) -> None:
    """Blank the entries of these people; harmless when repeated."""
    async with database.unit_of_work() as uow:
        await EntriesOfPeople(uow.session).blank(user_ids)

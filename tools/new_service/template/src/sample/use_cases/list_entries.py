"""Show what a person wrote."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db import Database
from sample.models import Entry
from sample.repositories import Entries


async def list_entries(database: Database, *, user_id: UUID) -> Sequence[Entry]:
    """Return the person's entries, the newest first."""
    async with database.read_only() as session:
        return await Entries(session).of(user_id)

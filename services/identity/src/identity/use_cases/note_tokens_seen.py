"""Remember which access tokens were used: whoever uses one has the refresh token beside it."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db import Database
from identity.repositories import Sessions


async def note_tokens_seen(database: Database, seen: Sequence[tuple[UUID, int]]) -> None:
    """Note sessions and the generations of their tokens, in a transaction of its own."""
    async with database.unit_of_work() as uow:
        await Sessions(uow.session).note_seen(seen)

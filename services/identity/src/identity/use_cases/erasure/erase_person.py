"""How the account of a person, and what hangs on it, is erased."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db import Database
from identity.repositories import Users


async def destroy_accounts(database: Database, user_ids: Sequence[UUID]) -> None:
    """Delete accounts and all that hangs on them; harmless when repeated."""
    async with database.unit_of_work() as uow:
        await Users(uow.session).destroy(user_ids)

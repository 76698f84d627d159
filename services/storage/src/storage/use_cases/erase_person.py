"""How what storage still has to delete of a person ends."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from chassis.db import Database
from storage.repositories import Destructions
from storage.vault import Vault


async def end_deletions(
    database: Database, vault: Vault, user_ids: Sequence[UUID], *, late_sweeps: Sequence[timedelta]
) -> None:
    """Replace the deletions that name these people by sweeps of their folders, which are empty by now.

    An upload that was cut off between its write and its refusal may still land in the bucket.
    """
    async with database.one_statement() as session:
        folders = vault.folders_of_people(*user_ids)
        await Destructions(session).sweep_later(folders, after=late_sweeps, also_of=user_ids)

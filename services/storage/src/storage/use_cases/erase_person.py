"""How what storage still has to delete of a person ends."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from chassis.db import Database
from storage.repositories import Destructions
from storage.vault import Vault


async def end_deletions(
    database: Database, vault: Vault, user_id: UUID, *, late_sweeps: Sequence[timedelta]
) -> None:
    """Replace the deletions that name the person by sweeps of their folder, which is empty by now.

    An upload that was cut off between its write and its refusal may still land in the bucket.
    """
    async with database.unit_of_work() as uow:
        destructions = Destructions(uow.session)
        await destructions.remove_all_of(user_id)
        await destructions.sweep_later(vault.folder_of_person(user_id), after=late_sweeps)

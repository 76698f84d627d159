"""Let go of photos whose consent was withdrawn and not given anew within the grace."""

from chassis.db import Database
from contracts.fields import PhotoDeletionReason
from storage.repositories import WithdrawnPhotos
from storage.use_cases.release_photo import release_photo


async def destroy_withdrawn(database: Database) -> int:
    """Order the destruction of every photo that has waited long enough, batch by batch; return how many."""
    released = 0
    while True:
        async with database.unit_of_work() as uow:
            due = await WithdrawnPhotos(uow.session).lock_due(now=uow.now())
            for photo in due:
                await release_photo(uow, photo, reason=PhotoDeletionReason.WITHDRAWAL)
        if not due:
            return released
        released += len(due)

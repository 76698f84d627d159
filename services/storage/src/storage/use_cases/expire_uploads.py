"""Let go of uploads that nobody finished."""

from datetime import timedelta

from chassis.db import Database
from contracts.fields import PhotoDeletionReason
from storage.repositories import Photos
from storage.use_cases.release_photo import release_photo


async def expire_uploads(database: Database, *, upload_takes: timedelta, confirm_within: timedelta) -> int:
    """Release photos without bytes whose link is over, and photos never confirmed; return how many.

    An upload that began in the last moment of its link may still be running, so `upload_takes` is waited for.
    """
    released, now = 0, database.clock.now()
    while True:
        async with database.unit_of_work() as uow:
            photos = Photos(uow.session)
            abandoned = await photos.lock_abandoned(
                link_over_by=now - upload_takes, received_by=now - confirm_within
            )
            for photo in abandoned:
                await release_photo(uow, photo, reason=PhotoDeletionReason.RETENTION)
            if not abandoned:
                await photos.forget_digests(link_over_by=now)
                return released
        released += len(abandoned)

"""End an upload that arrives in pieces, and everything of it that has arrived."""

from chassis.db import UnitOfWork
from contracts.fields import PhotoDeletionReason
from storage.models import Destruction, Photo
from storage.repositories import Photos
from storage.use_cases.release_photo import release_photo


async def end_upload(uow: UnitOfWork, photo: Photo, *, attempt: int | None) -> Destruction | None:
    """Let go of an upload and return the work that destroys it; raises `PersonErased`.

    None when somebody else has ended it, when its photo is confirmed, or when an attempt newer than `attempt`
    goes on with it.
    """
    await uow.lock_subject(photo.user_id)
    locked = await Photos(uow.session).lock(photo.id)
    if locked is None or locked.confirmed_at is not None or attempt not in (None, locked.upload_attempts):
        return None
    return await release_photo(uow, locked, reason=PhotoDeletionReason.USER)

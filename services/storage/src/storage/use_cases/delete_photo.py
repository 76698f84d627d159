"""Delete a photo at its owner's wish."""

from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound
from contracts.fields import PhotoDeletionReason
from storage.models import Destruction
from storage.repositories import Photos
from storage.use_cases.release_photo import release_photo


async def delete_photo(uow: UnitOfWork, *, user_id: UUID, photo_id: UUID) -> Destruction | None:
    """Let go of the photo and return the work that destroys it; raises `NotFound` or `PersonErased`.

    None for one that a hold keeps: from now on nobody reads it, and it is destroyed when the hold ends.
    """
    await uow.lock_subject(user_id)
    found = await Photos(uow.session).lock_to_delete(user_id, photo_id, now=uow.now())
    if found is None:
        raise NotFound
    photo, held = found
    if held:
        photo.closed_at, photo.released_for = uow.now(), PhotoDeletionReason.USER.value
        return None
    return await release_photo(uow, photo, reason=PhotoDeletionReason.USER)

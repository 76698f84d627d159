"""Delete a photo at its owner's wish."""

from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound
from contracts.fields import PhotoDeletionReason
from storage.models import Destruction
from storage.repositories import Photos
from storage.use_cases.release_photo import release_photo


async def delete_photo(uow: UnitOfWork, *, user_id: UUID, photo_id: UUID) -> Destruction:
    """Let go of the photo and return the work that destroys it; raises `NotFound` or `PersonErased`."""
    await uow.lock_subject(user_id)
    photo = await Photos(uow.session).lock_of_person(user_id, photo_id)
    if photo is None:
        raise NotFound
    return await release_photo(uow, photo, reason=PhotoDeletionReason.USER)

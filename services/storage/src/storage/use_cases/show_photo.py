"""Show one photo's particulars to its owner."""

from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound
from storage.models import Photo
from storage.repositories import Photos


async def show_photo(uow: UnitOfWork, *, user_id: UUID, photo_id: UUID) -> Photo:
    """Return the photo; raises `NotFound` for one that is not the person's."""
    photo = await Photos(uow.session).of_person(user_id, photo_id)
    if photo is None:
        raise NotFound
    return photo

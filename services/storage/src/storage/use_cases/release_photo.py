"""Let go of a photo: the row goes now, its folder in the bucket as durable work."""

from datetime import timedelta

from chassis.db import UnitOfWork
from contracts.fields import PhotoDeletionReason
from storage.models import Destruction, Photo
from storage.repositories import DESTRUCTIONS, Destructions, Photos

MARGIN = timedelta(minutes=1)


async def release_photo(uow: UnitOfWork, photo: Photo, *, reason: PhotoDeletionReason) -> Destruction:
    """Delete the row and order the destruction of what it led to; from the commit on nobody can read it.

    The announcement follows when the objects are gone; a photo whose bytes never arrived is not announced.
    """
    destructions, now = Destructions(uow.session), uow.now()
    if photo.upload_lease_until is not None and photo.upload_lease_until > now:
        # Bytes are on their way and may be written after the destruction; a second look finds them.
        await destructions.sweep_later([photo.folder], after=[photo.upload_lease_until - now + MARGIN])
    await Photos(uow.session).remove(photo)
    uow.wake(DESTRUCTIONS.name)
    if photo.received_at is None:
        return destructions.add(photo.folder)
    return destructions.add_photo(photo, reason=reason)

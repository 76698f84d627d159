"""Let go of every photo of a person who asked to be erased, before the erasure itself begins."""

from uuid import UUID

from chassis.db import UnitOfWork
from contracts.fields import PhotoDeletionReason
from storage.repositories import DESTRUCTIONS, WithdrawnPhotos

EVERY_EPOCH = 2**63 - 1


async def release_everything(uow: UnitOfWork, *, user_id: UUID) -> None:
    """Order the destruction of all photos, those that wait out a grace among them; raises `PersonErased`."""
    await uow.lock_subject(user_id)
    photos = WithdrawnPhotos(uow.session)
    if await photos.release(user_id, epoch=EVERY_EPOCH, reason=PhotoDeletionReason.ERASURE, now=uow.now()):
        uow.wake(DESTRUCTIONS.name)

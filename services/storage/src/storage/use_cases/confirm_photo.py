"""Confirm that what arrived is what was sent."""

from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound
from contracts.fields import PhotoContentType
from contracts.storage import PhotoUploaded
from storage.models import Photo
from storage.policy import ConsentRequired, NotUploadedYet, SizeMismatch
from storage.repositories import Gates, Photos


async def confirm_photo(uow: UnitOfWork, *, user_id: UUID, photo_id: UUID, file_size: int) -> Photo:
    """Complete the upload and announce the photo, once; repeating it changes nothing.

    The caller has just asked consent. Raises `NotFound`, `NotUploadedYet`, `SizeMismatch`, `ConsentRequired`
    or `PersonErased`.
    """
    await uow.lock_subject(user_id)
    gate = await Gates(uow.session).share(user_id)
    photo = await Photos(uow.session).lock_of_person(user_id, photo_id)
    if photo is None:
        raise NotFound
    if photo.received_bytes is None:
        raise NotUploadedYet
    if photo.received_bytes != file_size:
        raise SizeMismatch
    if gate is None or not gate.granted or photo.consent_epoch <= gate.withdrawn_epoch:
        # A service that processes photos would take the announcement for a yes.
        raise ConsentRequired
    if photo.confirmed_at is None:
        photo.confirmed_at = photo.updated_at = uow.now()
        uow.publish(
            PhotoUploaded(
                user_id=user_id,
                photo_id=photo.id,
                content_type=PhotoContentType(photo.media_type),
                size=photo.received_bytes,
            )
        )
    return photo

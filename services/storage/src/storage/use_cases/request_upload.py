"""Hand out an upload link to a person whose consent is live."""

from datetime import timedelta
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.ids import new_id
from storage.links import Links, UploadToken
from storage.models import Photo
from storage.policy import ConsentRequired, ConsentState, Rendition
from storage.repositories import Photos
from storage.vault import Vault


async def request_upload(
    uow: UnitOfWork,
    *,
    user_id: UUID,
    session_id: UUID,
    content_type: str,
    answer: ConsentState,
    address_proved: bool,
    vault: Vault,
    links: Links,
    link_life: timedelta,
) -> tuple[Photo, UploadToken]:
    """Begin a photo under the consent that was just confirmed; raises `ConsentRequired` or `PersonErased`."""
    await uow.lock_subject(user_id)
    if answer.consent_id is None:
        raise ConsentRequired
    photo_id, now = new_id(), uow.now()
    token = links.upload_token(photo_id, session_id)
    photo = Photo(
        id=photo_id,
        user_id=user_id,
        # Where the first attempt will put it; a later one writes where it is then.
        s3_key=vault.locate(user_id, photo_id, version=1).key(Rendition.ORIGINAL),
        declared_type=content_type,
        consent_id=answer.consent_id,
        consent_epoch=answer.epoch,
        upload_token_hash=token.digest(),
        upload_expires_at=now + link_life,
        upload_attempts=0,
        address_proved=address_proved,
        created_at=now,
        updated_at=now,
    )
    if not await Photos(uow.session).begin(photo):
        raise ConsentRequired
    return photo, token

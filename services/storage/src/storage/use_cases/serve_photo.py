"""Open one rendition of a photo for whoever holds its link, while the consent lives."""

from dataclasses import dataclass
from uuid import UUID

import structlog

from chassis.clock import Clock
from chassis.db import Database
from chassis.problems import PersonErased
from storage.consents import Consents
from storage.models import Photo
from storage.object_store import ObjectNotFound
from storage.policy import ConsentRequired, LinkGone, Rendition
from storage.repositories import Photos
from storage.use_cases.ask_consent import ask_consent
from storage.vault import KeyMissing, PhotoLocation, Vault

THUMBNAIL_TYPE = "image/jpeg"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OpenedPhoto:
    """A rendition in the clear; `tag` names this version of it and says nothing about its content."""

    content: bytes
    content_type: str
    tag: str


async def serve_photo(
    database: Database,
    vault: Vault,
    consents: Consents,
    clock: Clock,
    *,
    photo_id: UUID,
    rendition: Rendition,
) -> OpenedPhoto:
    """Return the bytes; the caller has checked the link.

    Raises `LinkGone`, `ConsentRequired`, and transient faults when consent or the store can't be asked.
    """
    async with database.unit_of_work() as uow:
        photo = await Photos(uow.session).find(photo_id)
    if photo is None or photo.confirmed_at is None or photo.sealed_version is None:
        raise LinkGone
    place = PhotoLocation(photo.user_id, photo.id, photo.sealed_version)
    try:
        answer = await ask_consent(database, consents, user_id=photo.user_id, now=clock.now())
        if not answer.covers(photo.consent_epoch):
            raise ConsentRequired
        content = await vault.get(place, rendition)
    except PersonErased:
        raise LinkGone from None
    except (KeyMissing, ObjectNotFound) as error:
        # The row is there and what it leads to is not: right during an erasure, wrong at any other time.
        log.error("photo_without_content", photo_id=str(photo_id), error=type(error).__name__)
        raise LinkGone from error
    return OpenedPhoto(content, _type_of(photo, rendition), f'"{photo.id}-{rendition}-{place.version}"')


def _type_of(photo: Photo, rendition: Rendition) -> str:
    return THUMBNAIL_TYPE if rendition is Rendition.THUMBNAIL else photo.media_type

"""Open one rendition of a photo for whoever holds its link, while the consent lives."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog

from chassis.db import Database
from chassis.ids import new_id
from chassis.object_store import Admit
from chassis.object_store_faults import ObjectNotFound
from chassis.problems import PersonErased, describe
from chassis.sealing import SealBroken
from storage.consents import Consents
from storage.models import Photo, PhotoRead
from storage.policy import ConsentRequired, LinkGone, PhotoLost, PhotoUnavailable, ReadReason, Rendition
from storage.repositories import Photos
from storage.repositories.photos import Standing
from storage.sealing import KeyUnusable
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


@dataclass(frozen=True, slots=True)
class MeasuredPhoto:
    """How many bytes a rendition has in the clear, and what they are."""

    size: int
    content_type: str


@dataclass(frozen=True, slots=True)
class PhotoReader:
    """What opening a photo needs; who is given one is recorded before its first byte leaves."""

    database: Database
    vault: Vault
    consents: Consents

    async def find(self, photo_id: UUID) -> Photo:
        """Return a photo that can be read; raises `LinkGone`."""
        async with self.database.read_only() as session:
            photo = await Photos(session).find(photo_id)
        if photo is None or photo.confirmed_at is None or photo.sealed_version is None:
            raise LinkGone
        if photo.released_for is not None:
            raise LinkGone
        return photo

    async def permit(self, photo: Photo) -> None:
        """Ask if the photo may be shown now; raises `LinkGone`, `ConsentRequired` and transient faults."""
        try:
            answer = await ask_consent(self.database, self.consents, user_id=photo.user_id)
        except PersonErased:
            raise LinkGone from None
        if not answer.covers(photo.consent_epoch):
            raise ConsentRequired

    async def open(
        self, photo: Photo, rendition: Rendition, *, session_id: UUID, admit: Admit
    ) -> OpenedPhoto:
        """Return the bytes for a session of their owner; the caller has checked the link, `admit` finds room.

        Raises `LinkGone`, `ConsentRequired`, `PhotoUnavailable`, `PhotoLost`, what `admit` raises, and
        transient faults when consent, the key provider or the store can't be asked.
        """
        record = PhotoRead(
            id=new_id(),
            user_id=photo.user_id,
            photo_id=photo.id,
            session_id=session_id,
            rendition=rendition,
            reason=ReadReason.SHOWN_TO_OWNER,
            read_at=self.database.clock.now(),
        )
        async with self._shown(photo, record):
            content = await self.vault.get(PhotoLocation.of(photo), rendition, admit=admit)
        return OpenedPhoto(content, _type_of(photo, rendition), tag_of(photo, rendition))

    async def measure(self, photo: Photo, rendition: Rendition) -> MeasuredPhoto:
        """Return what can be said of the bytes without reading them; raises what `open` raises."""
        async with self._shown(photo):
            size = await self.vault.measure(PhotoLocation.of(photo), rendition)
        return MeasuredPhoto(size, _type_of(photo, rendition))

    @asynccontextmanager
    async def _shown(self, photo: Photo, record: PhotoRead | None = None) -> AsyncIterator[None]:
        """Run the block, which asks the vault, between two looks at whether the photo may be shown."""
        await self.permit(photo)
        try:
            yield
        except PersonErased:
            raise LinkGone from None
        except (KeyUnusable, KeyMissing, ObjectNotFound, SealBroken) as error:
            await self._explain(photo, error)
            raise
        await self._look_again(photo, record)

    async def _look_again(self, photo: Photo, record: PhotoRead | None = None) -> None:
        """Refuse what was withdrawn, deleted or erased while the bytes were fetched."""
        async with self.database.read_only() as session:
            standing = await Photos(session).standing_of(
                photo, person_hash=self.database.tombstone_keys.hashes(photo.user_id), record=record
            )
        if standing is Standing.GONE:
            raise LinkGone
        if standing is Standing.NOT_PERMITTED:
            raise ConsentRequired

    async def _explain(self, photo: Photo, error: Exception) -> None:
        """Raise what is right: gone during an erasure, out of order at any other time."""
        await self._look_again(photo)
        # The row is there, nobody has let go of it, and what it leads to can't be opened.
        log.error("photo_can_not_be_opened", photo_id=str(photo.id), error=describe(error))
        if isinstance(error, KeyUnusable | KeyMissing):
            raise PhotoUnavailable from error
        async with self.database.unit_of_work() as uow:
            await Photos(uow.session).mark_lost(photo.id, now=uow.now())
        raise PhotoLost from error


def tag_of(photo: Photo, rendition: Rendition) -> str:
    """Return the entity tag of what is kept of a photo (RFC 9110 §8.8.3).

    It names the photo and never its content: equal pictures must not be recognisable by it.
    """
    return f'"{photo.id}-{rendition}-{photo.sealed_version}"'


def _type_of(photo: Photo, rendition: Rendition) -> str:
    return THUMBNAIL_TYPE if rendition is Rendition.THUMBNAIL else photo.media_type

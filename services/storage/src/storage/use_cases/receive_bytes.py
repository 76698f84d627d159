"""Take a photo's bytes over its upload link: prove, strip, seal, store; once, under a live consent only."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from chassis.clock import Clock
from chassis.db import Database, UnitOfWork
from chassis.faults import is_transient
from chassis.problems import PersonErased, Problem, describe
from storage.consents import Consents
from storage.imaging import DecodingSandbox, ImageTooLarge, Picture, UnsupportedImage
from storage.links import UploadToken
from storage.models import Photo
from storage.object_store import ObjectStoreError
from storage.policy import (
    ConsentRequired,
    LinkRefused,
    PhotoTooLarge,
    Rendition,
    UploadGone,
    UploadRunning,
    WrongImageType,
)
from storage.repositories import Gates, Photos
from storage.slots import Slots
from storage.use_cases.ask_consent import ask_consent
from storage.vault import PhotoLocation, Vault

MARGIN_SECONDS = 5

ReadBody = Callable[[], Awaitable[bytes]]

log = structlog.get_logger(__name__)


class UploadOvertaken(UploadGone):
    """Another attempt over the same link has stored its bytes, or is about to."""


@dataclass(frozen=True)
class Reception:
    """What receiving needs; `lease` is how long one attempt may keep others out."""

    database: Database
    vault: Vault
    sandbox: DecodingSandbox
    consents: Consents
    slots: Slots
    clock: Clock
    lease: timedelta

    async def receive(
        self, photo_id: UUID, *, token: UploadToken, content_type: str, read_body: ReadBody
    ) -> Photo:
        """Return the photo with its bytes stored.

        Raises `LinkRefused`, `UploadGone`, `UploadRunning`, `ConsentRequired`, `WrongImageType`,
        `PhotoTooLarge`, `TooBusy`, what `read_body` raises, and transient faults. An attempt that fails
        leaves the link as good as it was.
        """
        try:
            async with self.database.unit_of_work() as uow:
                photo = self._usable(await Photos(uow.session).find(photo_id), token)
            if content_type != photo.declared_type:
                raise WrongImageType
            await self._consent(photo)
            async with self.slots.taken():
                return await self._attempt(photo, await self._claim(photo, token), read_body)
        except PersonErased:
            raise UploadGone from None

    def _usable(self, photo: Photo | None, token: UploadToken) -> Photo:
        if photo is None:
            raise UploadGone
        if not hmac.compare_digest(photo.upload_token_hash, token.digest()):
            raise LinkRefused
        if photo.closed_at is not None:
            raise ConsentRequired
        if photo.received_at is not None or self.clock.now() >= photo.upload_expires_at:
            raise UploadGone
        return photo

    async def _consent(self, photo: Photo) -> None:
        answer = await ask_consent(self.database, self.consents, user_id=photo.user_id, now=self.clock.now())
        if answer.epoch != photo.consent_epoch:
            raise ConsentRequired("The consent has changed since this link was made. Ask for another.")

    async def _claim(self, photo: Photo, token: UploadToken) -> PhotoLocation:
        """Keep every other request out of this upload for the length of the lease."""
        now = self.clock.now()
        async with self.database.unit_of_work() as uow:
            await uow.about(photo.user_id)
            locked = self._usable(await Photos(uow.session).lock(photo.id), token)
            if locked.upload_lease_until is not None and locked.upload_lease_until > now:
                raise UploadRunning
            locked.upload_attempts += 1
            locked.upload_lease_until = now + self.lease
            return PhotoLocation(locked.user_id, locked.id, version=locked.upload_attempts)

    async def _attempt(self, photo: Photo, place: PhotoLocation, read_body: ReadBody) -> Photo:
        stored = False
        try:
            # The deadline ends before the lease, so that no later attempt can meet this one's writes.
            async with asyncio.timeout(self.lease.total_seconds() - MARGIN_SECONDS):
                body = await read_body()
                picture = await self._examine(body, photo.declared_type)
                await self._consent(photo)
                try:
                    await self._write(place, picture)
                    received = await self._finish(place, picture, received_bytes=len(body))
                    stored = True
                except UploadOvertaken:
                    # The folder belongs to the attempt that came first.
                    raise
                except Problem:
                    await self._discard(photo)
                    raise
                return received
        finally:
            if not stored:
                await self._release(place)

    async def _examine(self, body: bytes, declared: str) -> Picture:
        try:
            return await self.sandbox.examine(body, declared)
        except UnsupportedImage as error:
            raise WrongImageType(str(error)) from error
        except ImageTooLarge as error:
            raise PhotoTooLarge(str(error)) from error

    async def _write(self, place: PhotoLocation, picture: Picture) -> None:
        await self.vault.put(
            place, {Rendition.ORIGINAL: picture.original, Rendition.THUMBNAIL: picture.thumbnail}
        )

    async def _finish(self, place: PhotoLocation, picture: Picture, *, received_bytes: int) -> Photo:
        """Check and act in one transaction: a withdrawal comes wholly before it or wholly after."""
        now = self.clock.now()
        async with self.database.unit_of_work() as uow:
            photo = await self._still_welcome(uow, place)
            photo.received_at, photo.received_bytes = now, received_bytes
            photo.content_type = picture.content_type
            photo.width, photo.height = picture.width, picture.height
            photo.sealed_version = place.version
            photo.upload_lease_until = None
            photo.updated_at = now
            return photo

    async def _still_welcome(self, uow: UnitOfWork, place: PhotoLocation) -> Photo:
        await uow.about(place.owner)
        gate = await Gates(uow.session).share(place.owner)
        photo = await Photos(uow.session).lock(place.photo_id)
        if photo is None:
            raise UploadGone
        if photo.received_at is not None or photo.upload_attempts != place.version:
            raise UploadOvertaken
        if photo.closed_at is not None or gate is None or not gate.granted:
            raise ConsentRequired
        if gate.epoch != photo.consent_epoch:
            raise ConsentRequired
        return photo

    async def _discard(self, photo: Photo) -> None:
        try:
            await self.vault.empty(photo.folder)
        except ObjectStoreError as error:
            # The sweep of unfinished uploads, or the one that an erasure orders, finds them later.
            log.warning("refused_upload_not_removed_yet", error=describe(error))

    async def _release(self, place: PhotoLocation) -> None:
        """Let the client try again at once instead of after the lease."""
        try:
            async with self.database.unit_of_work() as uow:
                photo = await Photos(uow.session).lock(place.photo_id)
                if photo is not None and photo.upload_attempts == place.version:
                    photo.upload_lease_until = None
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("upload_lease_kept", error=describe(error))

"""Take a photo's bytes over its upload link: prove, strip, seal, store; once, under a live consent only."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog

from chassis.db import Database, UnitOfWork
from chassis.faults import is_transient
from chassis.object_store_faults import ObjectStoreError
from chassis.problems import PersonErased, describe
from storage.attempts import Attempts
from storage.consents import Consents
from storage.imaging import DecodingSandbox, ImageTooLarge, Picture, UnsupportedImage
from storage.links import UploadToken
from storage.models import Photo
from storage.policy import (
    ConsentRequired,
    LinkRefused,
    PhotoTooLarge,
    ProveAddressFirst,
    Rendition,
    UploadDiffers,
    UploadGone,
    UploadOvertaken,
    WrongImageType,
)
from storage.repositories import Gates, Photos
from storage.transfers import MemoryShare, Transfers
from storage.use_cases.ask_consent import ask_consent
from storage.vault import PhotoLocation, Vault

MARGIN_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Body:
    """What arrived, and a keyed digest of it that knows the same bytes again."""

    content: bytes
    digest: str


ReadBody = Callable[[MemoryShare], Awaitable[Body]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Reception:
    """What receiving needs; `lease` is how long after its beginning an attempt may still write."""

    database: Database
    vault: Vault
    sandbox: DecodingSandbox
    consents: Consents
    uploads: Transfers
    lease: timedelta
    proved_address_only: bool
    attempts: Attempts = field(default_factory=Attempts)

    async def receive(
        self, photo_id: UUID, *, token: UploadToken, content_type: str, read_body: ReadBody
    ) -> Photo:
        """Return the photo with its bytes stored; the same bytes once more change nothing.

        The newest attempt over a link takes over from an older one, whose connection may be half open.
        Raises `LinkRefused`, `UploadGone`, `UploadOvertaken`, `UploadDiffers`, `ConsentRequired`,
        `ProveAddressFirst`, `WrongImageType`, `PhotoTooLarge`, `TooBusy`, what `read_body` raises, and
        transient faults. An attempt that fails leaves the link as good as it was.
        """
        try:
            async with self.database.read_only() as session:
                photo = self._usable(await Photos(session).find(photo_id), token)
            if content_type != photo.declared_type:
                raise WrongImageType(
                    f"This link takes {photo.declared_type}. Ask for another for other types."
                )
            await self._consent(photo)
            async with self.attempts.newest(photo.id), self.uploads.of(photo.user_id) as memory:
                place = await self._claim(photo, token)
                if place is None:
                    return await self._compare(photo, await read_body(memory))
                return await self._attempt(photo, place, read_body, memory)
        except PersonErased:
            raise UploadGone from None

    def _usable(self, photo: Photo | None, token: UploadToken) -> Photo:
        if photo is None:
            raise UploadGone
        if not hmac.compare_digest(photo.upload_token_hash, token.digest()):
            raise LinkRefused
        if photo.closed_at is not None:
            raise ConsentRequired
        if self.database.clock.now() >= photo.upload_expires_at:
            raise UploadGone
        if self.proved_address_only and not photo.address_proved:
            raise ProveAddressFirst
        return photo

    async def _consent(self, photo: Photo) -> None:
        answer = await ask_consent(self.database, self.consents, user_id=photo.user_id)
        if answer.epoch != photo.consent_epoch:
            raise ConsentRequired("The consent has changed since this link was made. Ask for another.")

    async def _claim(self, photo: Photo, token: UploadToken) -> PhotoLocation | None:
        """Begin an attempt that every later one overtakes; None when the bytes have arrived already."""
        async with self.database.unit_of_work() as uow:
            await uow.lock_subject(photo.user_id)
            locked = self._usable(await Photos(uow.session).lock(photo.id), token)
            if locked.received_at is not None:
                return None
            locked.upload_attempts += 1
            locked.upload_lease_until = uow.now() + self.lease
            return self.vault.locate(locked.user_id, locked.id, version=locked.upload_attempts)

    async def _compare(self, photo: Photo, body: Body) -> Photo:
        """Answer as the first time when the same bytes come again: that answer may have been lost."""
        async with self.database.read_only() as session:
            stored = await Photos(session).find(photo.id)
        if stored is None or stored.upload_digest is None:
            raise UploadGone
        if not hmac.compare_digest(stored.upload_digest, body.digest):
            raise UploadDiffers
        return stored

    async def _attempt(
        self, photo: Photo, place: PhotoLocation, read_body: ReadBody, memory: MemoryShare
    ) -> Photo:
        written = stored = False
        try:
            # The deadline ends before the lease: what is swept after the lease can't be written any more.
            async with asyncio.timeout(self.lease.total_seconds() - MARGIN_SECONDS):
                body = await read_body(memory)
                picture = await self._examine(body.content, photo.declared_type)
                await memory.grow(len(picture.original) + len(picture.thumbnail))
                await self._consent(photo)
                written = True
                await self._write(place, picture)
                received = await self._finish(place, picture, body)
                stored = True
                return received
        finally:
            if not stored:
                await self._give_up(place, written=written)

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

    async def _finish(self, place: PhotoLocation, picture: Picture, body: Body) -> Photo:
        """Check and act in one transaction: a withdrawal comes wholly before it or wholly after."""
        async with self.database.unit_of_work() as uow:
            photo, now = await self._still_welcome(uow, place), uow.now()
            photo.received_at, photo.received_bytes = now, len(body.content)
            photo.content_type = picture.content_type
            photo.width, photo.height = picture.width, picture.height
            photo.sealed_version, photo.s3_key = place.version, place.key(Rendition.ORIGINAL)
            photo.upload_digest = body.digest
            photo.upload_lease_until = None
            photo.updated_at = now
            return photo

    async def _still_welcome(self, uow: UnitOfWork, place: PhotoLocation) -> Photo:
        await uow.lock_subject(place.owner)
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

    async def _give_up(self, place: PhotoLocation, *, written: bool) -> None:
        """Remove what the attempt wrote, if anything; the link and every other attempt stay as they are."""
        try:
            if written:
                await self.vault.empty(place.folder)
            async with self.database.unit_of_work() as uow:
                await Photos(uow.session).end_attempt(place.photo_id, version=place.version)
        except ObjectStoreError as error:
            # The sweep of unfinished uploads, or the one that an erasure orders, finds them later.
            log.warning("refused_upload_not_removed_yet", error=describe(error))
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("upload_lease_kept", error=describe(error))

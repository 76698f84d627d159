"""Make a photo of bytes that have arrived: prove, strip, seal, store; under a live consent only."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from chassis.db import Database, UnitOfWork
from chassis.faults import is_transient
from chassis.object_store_faults import ObjectStoreError
from chassis.problems import describe
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
    UploadGone,
    UploadOvertaken,
    WrongImageType,
)
from storage.repositories import DESTRUCTIONS, Destructions, Gates, Photos
from storage.repositories.usages import count_arrived
from storage.transfers import MemoryShare
from storage.use_cases.ask_consent import ask_consent
from storage.vault import PhotoLocation, Vault

MARGIN_SECONDS = 5

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Body:
    """What arrived, and a keyed digest that knows the same bytes again, where they may come again."""

    content: bytes
    digest: str | None = None


@dataclass
class Attempt:
    """One attempt to bring bytes over a link.

    `written` are the beginnings of names in the bucket that nothing leads to yet: they go when the attempt is
    given up. `leftovers` is a folder that goes when the photo is there. An attempt that is `over` has left
    everything as it should be.
    """

    place: PhotoLocation
    written: list[str] = field(default_factory=list)
    leftovers: str | None = None
    over: bool = False


@dataclass(frozen=True)
class Acceptance:
    """What accepting needs; `lease` is how long after its beginning an attempt may still write."""

    database: Database
    vault: Vault
    sandbox: DecodingSandbox
    consents: Consents
    lease: timedelta
    proved_address_only: bool

    def usable(self, photo: Photo | None, token: UploadToken) -> Photo:
        """Return the photo if bytes may come over this link; raises what says why not."""
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

    async def consent(self, photo: Photo) -> None:
        """Ask if the consent that the link rests on lives; raises `ConsentRequired` and transient faults."""
        answer = await ask_consent(self.database, self.consents, user_id=photo.user_id)
        if answer.epoch != photo.consent_epoch:
            raise ConsentRequired("The consent has changed since this link was made. Ask for another.")

    @asynccontextmanager
    async def attempt(self, place: PhotoLocation) -> AsyncIterator[Attempt]:
        """Bound an attempt in time, and remove what it wrote for nothing."""
        attempt = Attempt(place)
        try:
            # The deadline ends before the lease: what is swept after the lease can't be written any more.
            async with asyncio.timeout(self.lease.total_seconds() - MARGIN_SECONDS):
                yield attempt
        finally:
            if not attempt.over:
                await self._give_up(attempt)

    async def accept(self, attempt: Attempt, photo: Photo, body: Body, memory: MemoryShare) -> Photo:
        """Return the photo with its bytes stored.

        Raises `WrongImageType`, `PhotoTooLarge`, `TooBusy`, `ConsentRequired`, `UploadGone`,
        `UploadOvertaken`, `PersonErased` and transient faults.
        """
        picture = await self._examine(body.content, photo.declared_type)
        await memory.grow(len(picture.original) + len(picture.thumbnail))
        await self.consent(photo)
        attempt.written.append(attempt.place.folder)
        await self.vault.put(
            attempt.place, {Rendition.ORIGINAL: picture.original, Rendition.THUMBNAIL: picture.thumbnail}
        )
        received = await self._finish(attempt, picture, body)
        attempt.over = True
        return received

    async def _examine(self, body: bytes, declared: str) -> Picture:
        try:
            return await self.sandbox.examine(body, declared)
        except UnsupportedImage as error:
            raise WrongImageType(str(error)) from error
        except ImageTooLarge as error:
            raise PhotoTooLarge(str(error)) from error

    async def _finish(self, attempt: Attempt, picture: Picture, body: Body) -> Photo:
        """Check and act in one transaction: a withdrawal comes wholly before it or wholly after."""
        place = attempt.place
        async with self.database.unit_of_work() as uow:
            photo, now = await self._still_welcome(uow, place), uow.now()
            photo.received_at, photo.received_bytes = now, len(body.content)
            photo.content_type = picture.content_type
            photo.width, photo.height = picture.width, picture.height
            photo.sealed_version, photo.s3_key = place.version, place.key(Rendition.ORIGINAL)
            photo.upload_digest, photo.upload_parts = body.digest, None
            photo.upload_lease_until = None
            photo.updated_at = now
            count_arrived(uow, photo.user_id, len(body.content))
            if attempt.leftovers is not None:
                Destructions(uow.session).add(attempt.leftovers)
                uow.wake(DESTRUCTIONS.name)
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

    async def _give_up(self, attempt: Attempt) -> None:
        """Remove what the attempt wrote, if anything; the link and every other attempt stay as they are."""
        place = attempt.place
        try:
            for beginning in attempt.written:
                await self.vault.empty(beginning)
            async with self.database.unit_of_work() as uow:
                await Photos(uow.session).end_attempt(place.photo_id, version=place.version)
        except ObjectStoreError as error:
            # The sweep of unfinished uploads, or the one that an erasure orders, finds them later.
            log.warning("refused_upload_not_removed_yet", error=describe(error))
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("upload_lease_kept", error=describe(error))

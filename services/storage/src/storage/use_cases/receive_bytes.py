"""Take a photo's bytes over its upload link at once: the whole of them, or nothing."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from chassis.problems import PersonErased
from storage.attempts import Attempts
from storage.links import UploadToken
from storage.models import Photo
from storage.policy import UploadDiffers, UploadGone, WrongImageType
from storage.repositories import Photos
from storage.transfers import MemoryShare, Transfers
from storage.use_cases.accept_picture import Acceptance, Body
from storage.vault import PhotoLocation

ReadBody = Callable[[MemoryShare], Awaitable[Body]]


@dataclass(frozen=True)
class Reception:
    """What receiving needs."""

    acceptance: Acceptance
    uploads: Transfers
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
        acceptance = self.acceptance
        try:
            async with acceptance.database.read_only() as session:
                photo = acceptance.usable(await Photos(session).find(photo_id), token)
            if content_type != photo.declared_type:
                raise WrongImageType(
                    f"This link takes {photo.declared_type}. Ask for another for other types."
                )
            await acceptance.consent(photo)
            async with self.attempts.newest(photo.id), self.uploads.of(photo.user_id) as memory:
                place = await self._claim(photo, token)
                if place is None:
                    return await self._compare(photo, await read_body(memory))
                async with acceptance.attempt(place) as attempt:
                    return await acceptance.accept(attempt, photo, await read_body(memory), memory)
        except PersonErased:
            raise UploadGone from None

    async def _claim(self, photo: Photo, token: UploadToken) -> PhotoLocation | None:
        """Begin an attempt that every later one overtakes; None when the bytes have arrived already."""
        acceptance = self.acceptance
        async with acceptance.database.unit_of_work() as uow:
            await uow.lock_subject(photo.user_id)
            locked = acceptance.usable(await Photos(uow.session).lock(photo.id), token)
            if locked.received_at is not None:
                return None
            locked.upload_attempts += 1
            locked.upload_lease_until = uow.now() + acceptance.lease
            return PhotoLocation.of_attempt(locked)

    async def _compare(self, photo: Photo, body: Body) -> Photo:
        """Answer as the first time when the same bytes come again: that answer may have been lost."""
        async with self.acceptance.database.read_only() as session:
            stored = await Photos(session).find(photo.id)
        if stored is None or stored.upload_digest is None or body.digest is None:
            raise UploadGone
        if not hmac.compare_digest(stored.upload_digest, body.digest):
            raise UploadDiffers
        return stored

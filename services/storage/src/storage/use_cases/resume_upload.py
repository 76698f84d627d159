"""Take a photo's bytes piece by piece, so that an upload goes on where it broke off; see `storage.tus`.

What is acknowledged is sealed and stored. Only the last bytes of a photo are not stored as a part: they are
acknowledged when the photo that they complete is there, by the one way in which every upload ends.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, Protocol
from uuid import UUID

import structlog

from chassis.object_store_faults import ObjectNotFound
from chassis.problems import PersonErased, describe
from chassis.sealing import SealBroken
from storage.attempts import Attempts
from storage.links import UploadToken
from storage.models import Photo
from storage.parts import MOST_PARTS, PART_BYTES, Part, arrived, listed, parts_of
from storage.policy import (
    PhotoTooLarge,
    TooBusy,
    UploadGone,
    UploadInterrupted,
    UploadLost,
    UploadOvertaken,
    WrongImageType,
)
from storage.repositories import Photos
from storage.repositories.uploads import keep_parts
from storage.transfers import MemoryShare, Transfers
from storage.tus import Checksum, OffsetDiffers, TooManyPieces
from storage.use_cases.accept_picture import Acceptance, Attempt, Body
from storage.use_cases.destroy_due import AT_ONCE_SECONDS, Destroyer
from storage.use_cases.end_upload import end_upload
from storage.vault import PhotoLocation

log = structlog.get_logger(__name__)


class Arriving(Protocol):
    """The bytes of one request, as they come."""

    async def read(self) -> bytes | None:
        """Return what has come next, None at the end; raises `UploadInterrupted` and `TooBusy`."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """What one request brings: where in the upload it begins, how long it says to be, and its bytes."""

    offset: int
    announced: int | None
    checksum: Checksum | None
    open: Callable[[MemoryShare], Arriving]


@dataclass(frozen=True)
class ResumableUploads:
    """What taking pieces needs."""

    acceptance: Acceptance
    uploads: Transfers
    destroyer: Destroyer
    attempts: Attempts = field(default_factory=Attempts)

    async def find(self, photo_id: UUID, *, token: UploadToken) -> Photo:
        """Return the photo of an upload that can go on or is complete.

        Raises `LinkRefused`, `UploadGone`, `ConsentRequired` and `ProveAddressFirst`.
        """
        async with self.acceptance.database.read_only() as session:
            return self.acceptance.usable(await Photos(session).find(photo_id), token)

    async def append(self, photo_id: UUID, *, token: UploadToken, piece: Piece) -> Photo:
        """Return the photo after the piece; the last one completes it, as a whole upload would.

        The newest request takes over from an older one, whose connection may be half open. Raises what `find`
        raises, `OffsetDiffers`, `ChecksumMismatch`, `TooManyPieces`, `UploadOvertaken`, `UploadInterrupted`,
        `TooBusy` and transient faults: what was acknowledged before stays. `PhotoTooLarge` and
        `WrongImageType` end the upload, and nothing of it is kept; so does `UploadLost`.
        """
        try:
            photo = await self.find(photo_id, token=token)
            if photo.received_at is not None:
                return _complete(photo, piece)
            await self.acceptance.consent(photo)
            async with self.attempts.newest(photo.id), self.uploads.of(photo.user_id) as memory:
                return await self._append(photo, token, piece, memory)
        except PersonErased:
            raise UploadGone from None

    async def _append(self, photo: Photo, token: UploadToken, piece: Piece, memory: MemoryShare) -> Photo:
        claimed = await self._claim(photo, token, piece)
        if claimed.received_at is not None:
            return claimed
        place = PhotoLocation.of_attempt(claimed)
        try:
            async with self.acceptance.attempt(place) as attempt:
                return await _Appending(self.acceptance, claimed, token, piece, attempt, memory).run()
        except (PhotoTooLarge, WrongImageType, UploadLost):
            await self._end(claimed, attempt=claimed.upload_attempts)
            raise

    async def terminate(self, photo_id: UUID, *, token: UploadToken) -> None:
        """End an upload at its owner's wish (extension `termination`), a complete one until it is confirmed.

        Raises `LinkRefused` and `UploadGone`.
        """
        try:
            photo = await self.find(photo_id, token=token)
            if photo.confirmed_at is not None:
                raise UploadGone("The upload is complete. Delete the photo itself.")
            async with self.attempts.newest(photo.id):
                await self._end(photo, attempt=None)
        except PersonErased:
            raise UploadGone from None

    async def _claim(self, photo: Photo, token: UploadToken, piece: Piece) -> Photo:
        """Begin an attempt that every later one overtakes; a photo that is complete by now is left alone."""
        async with self.acceptance.database.unit_of_work() as uow:
            await uow.lock_subject(photo.user_id)
            locked = self.acceptance.usable(await Photos(uow.session).lock(photo.id), token)
            if locked.received_at is not None:
                return _complete(locked, piece)
            if piece.offset != arrived(locked):
                raise OffsetDiffers.at(arrived(locked))
            locked.upload_attempts += 1
            locked.upload_lease_until = uow.now() + self.acceptance.lease
            return locked

    async def _end(self, photo: Photo, *, attempt: int | None) -> None:
        async with self.acceptance.database.unit_of_work() as uow:
            order = await end_upload(uow, photo, attempt=attempt)
        if order is not None:
            await self.destroyer.destroy_now(order.id, seconds=AT_ONCE_SECONDS)


class _Appending:
    """One piece on its way into the upload."""

    def __init__(
        self,
        acceptance: Acceptance,
        photo: Photo,
        token: UploadToken,
        piece: Piece,
        attempt: Attempt,
        memory: MemoryShare,
    ) -> None:
        self._acceptance = acceptance
        self._photo = photo
        self._token = token
        self._checksum = piece.checksum
        self._hashed = piece.checksum.begun() if piece.checksum else None
        self._announced = piece.offset + (piece.announced or 0)
        self._source = piece.open(memory)
        self._attempt = attempt
        self._memory = memory
        self._length = photo.upload_length or 0
        self._parts = parts_of(photo)
        self._stored = self._reached = piece.offset
        self._held: list[bytes] = []

    async def run(self) -> Photo:
        """Take the bytes to their end; return the photo as it is then."""
        self._refuse_excess(self._announced)
        try:
            while (came := await self._source.read()) is not None:
                await self._take(came)
        except (UploadInterrupted, TooBusy):
            if self._checksum is None and self._reached < self._length:
                # Nothing judges this piece as a whole: what has come of it is worth keeping.
                await self._keep_all()
            raise
        if self._checksum is not None and self._hashed is not None:
            self._checksum.verify(self._hashed)
        if self._reached == self._length:
            return await self._complete()
        await self._keep_all()
        return self._photo

    async def _take(self, came: bytes) -> None:
        if not came:
            return
        self._reached += len(came)
        self._refuse_excess(self._reached)
        if self._hashed is not None:
            self._hashed.update(came)
        self._held.append(came)
        if self._reached - self._stored >= PART_BYTES and self._reached < self._length:
            await self._store()
            if self._checksum is None:
                await self._keep(more=True)

    def _refuse_excess(self, reached: int) -> None:
        if reached > self._length:
            raise PhotoTooLarge(
                f"The upload was begun for {self._length} bytes, and more came. It is ended.",
                extra={"limit": self._length},
            )

    async def _store(self) -> None:
        """Seal what is held as a part of its own; nothing leads to it before it is kept."""
        if len(self._parts) >= MOST_PARTS:
            raise TooManyPieces
        place, vault = self._attempt.place, self._acceptance.vault
        size = self._reached - self._stored
        part = Part(place.owner, place.photo_id, place.folder_of_parts, place.version, self._stored, size)
        await self._acceptance.consent(self._photo)
        self._attempt.written.append(part.key)
        await vault.put_part(part, b"".join(self._held))
        self._held.clear()
        self._memory.shrink(part.size)
        self._parts.append(part)
        self._stored = part.end

    async def _keep_all(self) -> None:
        if self._held:
            await self._store()
        await self._keep(more=False)
        self._attempt.over = True

    async def _keep(self, *, more: bool) -> None:
        """List the parts in the photo's row: from the commit on they have arrived."""
        photo, parts = self._photo, listed(self._parts)
        async with self._acceptance.database.unit_of_work() as uow:
            kept = await keep_parts(
                uow,
                photo.user_id,
                photo.id,
                attempt=photo.upload_attempts,
                parts=parts,
                lease=photo.upload_lease_until if more else None,
            )
        if not kept:
            await self._explain()
        self._attempt.written.clear()
        photo.upload_parts = parts

    async def _explain(self) -> NoReturn:
        """Raise why nothing was kept: the upload has ended meanwhile, or somebody newer goes on with it."""
        async with self._acceptance.database.read_only() as session:
            self._acceptance.usable(await Photos(session).find(self._photo.id), self._token)
        raise UploadOvertaken

    async def _complete(self) -> Photo:
        vault, place = self._acceptance.vault, self._attempt.place
        if self._parts or place.version > 1:
            # Parts of an attempt that died before it kept them lie there, too.
            self._attempt.leftovers = place.folder_of_parts
        try:
            earlier = await vault.get_parts(self._parts, admit=self._memory.grow)
        except (ObjectNotFound, SealBroken) as error:
            log.error("part_of_an_upload_lost", photo_id=str(place.photo_id), error=describe(error))
            raise UploadLost from error
        content = b"".join([*earlier, *self._held])
        earlier.clear()
        self._held.clear()
        return await self._acceptance.accept(self._attempt, self._photo, Body(content), self._memory)


def _complete(photo: Photo, piece: Piece) -> Photo:
    """Answer as the first time that the upload is complete: that answer may have been lost."""
    if piece.offset != arrived(photo):
        raise OffsetDiffers.at(arrived(photo))
    return photo

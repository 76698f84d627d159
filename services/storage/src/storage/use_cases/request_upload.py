"""Hand out an upload link to a person whose consent is live, and enough where they are."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from chassis.db import Database
from chassis.ids import new_id
from storage.consents import Consents, Whereabouts
from storage.links import Links, UploadToken, UploadWay
from storage.models import Photo
from storage.policy import ConsentRequired, ConsentState, Rendition, refuse_unless_enough
from storage.quotas import Quota, day_of, end_of_day
from storage.repositories import Usages
from storage.repositories.uploads import begin_photo
from storage.use_cases.ask_consent import take_over
from storage.vault import Vault


@dataclass(frozen=True, slots=True)
class Uploader:
    """Who asks for a link, in which session, and where they are seen."""

    user_id: UUID
    session_id: UUID
    address_proved: bool
    seen: Whereabouts


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is going to be uploaded; one that arrives in pieces says its `length` in bytes before."""

    content_type: str
    length: int | None = None

    @property
    def way(self) -> UploadWay:
        """How it comes."""
        return UploadWay.WHOLE if self.length is None else UploadWay.IN_PIECES


@dataclass(frozen=True, slots=True)
class UploadDesk:
    """What handing out links needs; `link_life` is how long they are good, by the way of the upload."""

    database: Database
    vault: Vault
    consents: Consents
    links: Links
    link_life: dict[UploadWay, timedelta]
    quota: Quota

    async def request_upload(self, uploader: Uploader, wanted: Wanted) -> tuple[Photo, UploadToken]:
        """Begin a photo under a consent that is confirmed now.

        Raises `ConsentRequired`, `QuotaReached`, `PersonErased`, and `NeighbourUnavailable` when nothing can
        be known.
        """
        answer = await self.consents.ask(uploader.user_id, seen=uploader.seen)
        photo, token = self._photo(uploader, answer, wanted)
        if answer.is_enough and await self._begin(photo, answer):
            return photo, token
        # The answer is a no, or the gate does not know it yet.
        await take_over(self.database, self.consents, answer, user_id=uploader.user_id)
        refuse_unless_enough(answer)
        await self._refuse_if_used_up(photo)
        if not await self._begin(photo, answer):
            raise ConsentRequired
        return photo, token

    async def _refuse_if_used_up(self, photo: Photo) -> None:
        """Count anew what the person uses, because what was counted may be more than there is."""
        person, moment = photo.user_id, photo.created_at
        async with self.database.read_only() as session:
            usage = await Usages(session).of(person, day=day_of(moment))
        usage.refuse(self.quota, more_bytes=photo.upload_length or 1, resets_at=end_of_day(moment))
        async with self.database.unit_of_work() as uow:
            await uow.lock_subject(person)
            await Usages(uow.session).recount(person, usage)

    def _photo(self, uploader: Uploader, answer: ConsentState, wanted: Wanted) -> tuple[Photo, UploadToken]:
        photo_id, now = new_id(), self.database.clock.now()
        token = self.links.upload_token(photo_id, uploader.session_id, wanted.way)
        photo = Photo(
            id=photo_id,
            user_id=uploader.user_id,
            # Where the first attempt will put it; a later one writes where it is then.
            s3_key=self.vault.locate(uploader.user_id, photo_id, version=1).key(Rendition.ORIGINAL),
            declared_type=wanted.content_type,
            consent_id=answer.consent_id,
            consent_epoch=answer.epoch,
            upload_token_hash=token.digest(),
            upload_expires_at=now + self.link_life[wanted.way],
            upload_attempts=0,
            upload_length=wanted.length,
            address_proved=uploader.address_proved,
            created_at=now,
            updated_at=now,
        )
        return photo, token

    async def _begin(self, photo: Photo, answer: ConsentState) -> bool:
        person_hash = self.database.tombstone_keys.hashes(photo.user_id)
        async with self.database.unit_of_work() as uow:
            return await begin_photo(
                uow, photo, ended_epoch=answer.ended_epoch, person_hash=person_hash, quota=self.quota
            )

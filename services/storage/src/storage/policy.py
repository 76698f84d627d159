"""Storage's rules and refusals, without database or network."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Self
from uuid import UUID

from chassis.problems import Problem, ServiceUnavailable
from contracts.fields import PhotoDeletionReason

_SINGLE_RANGE = re.compile(r"^(?i:bytes)=(\d{0,15})-(\d{0,15})$")


class ConsentRequired(Problem, status=403, title="Biometric consent is needed"):
    """There is no live biometric consent that this photo rests on."""

    detail = "Agree to the capture of biometric data first."


class ProveAddressFirst(Problem, status=403, title="The address is not confirmed yet"):
    """This installation takes biometric data only from people who have proved their address."""

    detail = "Confirm your address with the link in the mail that we sent you, then try again."


class LinkRefused(Problem, status=403, title="This link is not valid"):
    """The link was never issued in this form."""

    detail = "The link was changed or is not meant for this. Ask for a new one."


class LinkGone(Problem, status=410, title="This link is over"):
    """What the link led to is gone, or its time is over."""

    detail = "The link has expired or the photo is gone. The photo itself gives a new link."


class PhotoUnavailable(ServiceUnavailable, title="The photo can't be shown now"):
    """The photo's key or the store can't be used now; an operator has been told."""

    detail = "The photo is safe but can't be opened at the moment. Try again later."


class PhotoLost(Problem, status=410, slug="photo-unavailable", title="The photo can't be shown any more"):
    """The photo's row is there and its bytes are not, or are not what was written."""

    detail = "What was stored of this photo is lost. Delete it and upload it again."


class UploadGone(Problem, status=410, title="This upload link is over"):
    """An upload link takes one picture and is good for a short time."""

    detail = "The upload link has expired. Ask for a new one."


class UploadOvertaken(UploadGone, title="A newer upload took over"):
    """A newer attempt over the same link has begun, or has stored its bytes."""

    detail = "A newer upload over the same link has taken over from this one."


class UploadLost(UploadGone, title="What had arrived of the upload is lost"):
    """Parts of the upload are missing or changed."""

    detail = "What had arrived of this upload is lost. Begin it anew."


class UploadDiffers(Problem, status=409, title="Another picture was uploaded"):
    """The link has taken other bytes than these."""

    detail = "This link has taken another picture already. Ask for a new link for this one."


class UploadInterrupted(Problem, status=400, title="The upload did not arrive whole"):
    """The bytes stopped before the end, or came too slowly."""

    detail = "The upload was cut off or was too slow. Send it again over the same link while that is valid."


class PartialUpload(Problem, status=400, title="Only a whole photo can be uploaded"):
    """A part of a picture can't be put over a link (RFC 9110 §14.5)."""

    detail = "Send the whole photo at once, without a Content-Range."


class PhotoTooLarge(Problem, status=413, title="The photo is too large"):
    """The upload has more bytes or more pixels than are accepted."""

    detail = "The photo is larger than is accepted."

    @classmethod
    def of_bytes(cls, limit: int) -> Self:
        """Return the refusal of more than `limit` bytes; the gateway says the same."""
        return cls(f"A photo may have at most {limit} bytes.", extra={"limit": limit})


class QuotaReached(Problem, status=409, title="A limit of the account is reached"):
    """The person has, or has sent today, as much as one account may; `used` and `limit` say how much."""

    quota: ClassVar[str] = ""

    @classmethod
    def of(cls, limit: int, used: int, *, resets_at: datetime | None = None) -> Self:
        """Return the refusal that names the limit, what is used of it, and when it begins anew."""
        until = {} if resets_at is None else {"resets_at": resets_at.isoformat()}
        return cls(extra={"quota": cls.quota, "limit": limit, "used": used, **until})


class TooManyPhotos(QuotaReached):
    """As many photos are kept as one account may have."""

    quota = "photos"
    detail = "Your account is full: it has as many photos as it may have. Delete some first."


class TooManyUploads(QuotaReached):
    """As many uploads were begun today as one account may begin."""

    quota = "uploads_per_day"
    detail = "You have begun as many uploads today as an account may. Go on tomorrow."


class SpaceUsedUp(QuotaReached, status=413, title="The space for photos is used up"):
    """The photos have as many bytes as one account may have, or would have more with this one."""

    quota = "bytes"
    detail = "There is no room for this photo in your account. Delete some first."


class WrongImageType(Problem, status=415, title="Not the declared image type"):
    """The bytes are not a picture of the declared type."""

    detail = "Send the bytes of a picture with the Content-Type that the upload link was made for."


class NotUploadedYet(Problem, status=409, slug="photo-not-uploaded", title="No bytes have arrived"):
    """A photo can be confirmed only after its bytes have arrived."""

    detail = "Upload the photo first, then confirm it."


class SizeMismatch(Problem, status=409, title="Another number of bytes arrived"):
    """The client thinks that it sent something else than what arrived."""

    detail = "What arrived has another size than what was sent. Delete the photo and upload it again."


class RangeNotSatisfiable(Problem, status=416, title="No such range"):
    """The asked range lies outside the photo."""

    detail = "The range lies outside the photo."


class TooBusy(ServiceUnavailable, title="Too busy"):
    """As many photos are in memory as may be at once."""

    detail = "Too many photos are on their way at once. Nothing was changed; try again shortly."


class Rendition(StrEnum):
    """What can be read of a photo; each is sealed as an object of its own."""

    ORIGINAL = "original"
    THUMBNAIL = "thumbnail"


class ReadReason(StrEnum):
    """Why somebody was given the bytes of a photo."""

    SHOWN_TO_OWNER = "shown-to-owner"
    EXPORT = "export"


class UploadStatus(StrEnum):
    """How far a photo is, in the words of the public API."""

    PENDING = "pending"
    UPLOADED = "uploaded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ConsentState:
    """What consent said at one moment; epochs are 0 when there was no such change.

    A consent can stand while the law of where its person is seen asks for more: then what rests on it stays,
    and nothing new is taken before they have agreed under `stricter_jurisdiction`.
    """

    granted: bool
    consent_id: UUID | None
    epoch: int
    withdrawn_epoch: int
    stricter_jurisdiction: str | None = None

    @property
    def ended_epoch(self) -> int:
        """The epoch up to which everything has ended; a consent that is not live has ended with its own."""
        return self.withdrawn_epoch if self.granted else self.epoch

    @property
    def is_enough(self) -> bool:
        """Whether something new may be taken under it."""
        return self.granted and self.stricter_jurisdiction is None

    def is_news_to(self, known: tuple[int, int] | None) -> bool:
        """Whether it says more than is known: the epochs of the last change and of the last end."""
        if known is None:
            return self.epoch > 0
        return known[0] < self.epoch or known[1] < self.ended_epoch

    def reason_of_end(self, known: tuple[int, int] | None) -> PhotoDeletionReason:
        """Return why what it ends goes, as far as it says so: given those known epochs.

        An end without a change of its own is a consent that has lapsed. Whether a change was a withdrawal or
        an expiry is told by its event; until that is heard it counts as a withdrawal.
        """
        lapsed = not self.granted and known is not None and known[0] == self.epoch > known[1]
        return PhotoDeletionReason.RETENTION if lapsed else PhotoDeletionReason.WITHDRAWAL

    def covers(self, photo_epoch: int) -> bool:
        """Whether a photo that rests on the consent of this epoch may be used now."""
        return self.granted and photo_epoch > self.withdrawn_epoch


def refuse_unless_enough(answer: ConsentState) -> None:
    """Raise `ConsentRequired` unless something new may be taken under it."""
    if not answer.granted:
        raise ConsentRequired
    if answer.stricter_jurisdiction is not None:
        raise ConsentRequired(
            f"Where you are, the law asks for more than you agreed to: {answer.stricter_jurisdiction} holds."
            " Read its text and agree to that; the photos that you have stay.",
            extra={"reason": "stricter-jurisdiction-holds", "jurisdiction": answer.stricter_jurisdiction},
        )


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A part of a file, both ends included."""

    first: int
    last: int


def upload_status(
    *, confirmed: bool, received: bool, lost: bool, link_expires_at: datetime, now: datetime
) -> UploadStatus:
    """Name how far a photo is; it has failed when its bytes are lost, or when none came over its link."""
    if lost:
        return UploadStatus.FAILED
    if confirmed:
        return UploadStatus.UPLOADED
    return UploadStatus.PENDING if received or now < link_expires_at else UploadStatus.FAILED


def parse_range(header: str | None, length: int) -> ByteRange | None:
    """Return the one range that is asked for, None for the whole (RFC 9110 §14.2).

    Several ranges at once are answered with the whole, which the RFC allows. Raises `RangeNotSatisfiable`.
    """
    asked = _SINGLE_RANGE.match(header.strip()) if header else None
    first, last = asked.groups() if asked else ("", "")
    if not first and not last:
        return None
    if not first:
        start, end = max(length - int(last), 0), length - 1
        satisfiable = int(last) > 0 and length > 0
    else:
        start, end = int(first), min(int(last), length - 1) if last else length - 1
        if last and int(last) < start:
            return None
        satisfiable = start < length
    if not satisfiable:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{length}"})
    return ByteRange(start, end)

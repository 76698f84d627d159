"""The events that storage publishes: photos that came and photos that are gone."""

from typing import Literal

from contracts.envelope import Event
from contracts.fields import Count, PhotoContentType, PhotoDeletionReason, PhotoId, UserId
from contracts.participation import ErasureReported, ParticipantJoined


class PhotoUploaded(Event, type="storage.photo.uploaded.v1"):
    """A photo is sealed and stored, and the person has confirmed it; size is in bytes, as received."""

    user_id: UserId
    photo_id: PhotoId
    content_type: PhotoContentType
    size: Count


class PhotoDeleted(Event, type="storage.photo.deleted.v1"):
    """A photo and everything derived from it were destroyed."""

    user_id: UserId
    photo_id: PhotoId
    reason: PhotoDeletionReason


class StorageErasureReported(ErasureReported, type="storage.erasure.reported.v1"):
    """Storage has erased the person's photos, every version of them, and the key that sealed them."""

    service: Literal["storage"]


class StorageParticipantJoined(ParticipantJoined, type="storage.participant.joined.v1"):
    """Storage has started and answers for the photos."""

    service: Literal["storage"]

"""The events that storage publishes: photos that came and photos that are gone."""

from contracts.envelope import Event
from contracts.fields import Count, PhotoContentType, PhotoDeletionReason, PhotoId, UserId


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

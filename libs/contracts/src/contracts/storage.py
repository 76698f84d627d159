"""The events that storage publishes: photos that came and photos that are gone, and copies of all data."""

from contracts.envelope import Event
from contracts.fields import (
    Count,
    ExportId,
    PhotoContentType,
    PhotoDeletionReason,
    PhotoId,
    Timestamp,
    UserId,
)


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


class ExportRequested(Event, type="storage.export.requested.v1"):
    """A person asked for a copy of their data; whoever holds some writes its section by `expires_at`."""

    user_id: UserId
    export_id: ExportId
    expires_at: Timestamp


class ExportReady(Event, type="storage.export.ready.v1"):
    """The copy of a person's data can be fetched until `expires_at`; size is in bytes."""

    user_id: UserId
    export_id: ExportId
    size: Count
    expires_at: Timestamp

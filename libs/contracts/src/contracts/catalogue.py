"""Every event that is published today; what is not listed here has no schema and is refused."""

from contracts.consent import (
    ConsentErasureReported,
    ConsentExpired,
    ConsentGranted,
    ConsentParticipantJoined,
    ConsentWithdrawn,
)
from contracts.envelope import Event
from contracts.identity import (
    ErasureCompleted,
    ErasureOverdue,
    IdentityErasureReported,
    IdentityParticipantJoined,
    MailRequested,
    SessionRevoked,
    UserActive,
    UserDeleted,
    UserRegistered,
    UserVerified,
)
from contracts.storage import PhotoDeleted, PhotoUploaded, StorageErasureReported, StorageParticipantJoined

EVENTS: tuple[type[Event], ...] = (
    UserRegistered,
    UserVerified,
    UserActive,
    MailRequested,
    SessionRevoked,
    UserDeleted,
    ErasureCompleted,
    ErasureOverdue,
    IdentityErasureReported,
    IdentityParticipantJoined,
    ConsentGranted,
    ConsentWithdrawn,
    ConsentExpired,
    ConsentErasureReported,
    ConsentParticipantJoined,
    PhotoUploaded,
    PhotoDeleted,
    StorageErasureReported,
    StorageParticipantJoined,
)

_BY_TYPE = {event.type: event for event in EVENTS}


def by_type(event_type: str) -> type[Event]:
    """Return the model of a type; raises KeyError for one that nobody publishes."""
    return _BY_TYPE[event_type]


def produced_by(service: str) -> tuple[type[Event], ...]:
    """Return the events that a service publishes."""
    return tuple(event for event in EVENTS if event.producer == service)

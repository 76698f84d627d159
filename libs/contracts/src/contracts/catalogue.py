"""Every event that is published today; what is not listed here has no schema and is refused."""

from contracts.consent import (
    CheckpointSealed,
    ConsentExpired,
    ConsentGranted,
    ConsentWithdrawn,
    PreferencesChanged,
)
from contracts.envelope import EVERY_SERVICE, Event
from contracts.identity import (
    ErasureCompleted,
    ErasureOverdue,
    ErasurePartial,
    HoldChanged,
    MailRequested,
    SessionRevoked,
    UserActive,
    UserDeleted,
    UserFrozen,
    UserRegistered,
    UserVerified,
)
from contracts.participation import ErasureReported, ExportContributed, ParticipantJoined
from contracts.registry import ASSEMBLER
from contracts.storage import ExportReady, ExportRequested, PhotoDeleted, PhotoUploaded

EVENTS: tuple[type[Event], ...] = (
    UserRegistered,
    UserVerified,
    UserActive,
    MailRequested,
    SessionRevoked,
    UserFrozen,
    HoldChanged,
    UserDeleted,
    ErasureCompleted,
    ErasurePartial,
    ErasureOverdue,
    ConsentGranted,
    ConsentWithdrawn,
    ConsentExpired,
    CheckpointSealed,
    PreferencesChanged,
    PhotoUploaded,
    PhotoDeleted,
    ExportRequested,
    ExportReady,
    ErasureReported,
    ExportContributed,
    ParticipantJoined,
)


def by_type(event_type: str) -> type[Event]:
    """Return the model of a type; raises KeyError for one that nobody publishes."""
    for event in EVENTS:
        if (found := event.of_type(event_type)) is not None:
            return found
    raise KeyError(event_type)


def produced_by(service: str) -> tuple[type[Event], ...]:
    """Return the events that a service publishes."""
    # Who puts exports together has its own section at hand, and tells nobody.
    silent = {ExportContributed} if service == ASSEMBLER else set()
    return tuple(
        event for event in EVENTS if event.producer in {service, EVERY_SERVICE} and event not in silent
    )


def types_of(service: str) -> tuple[str, ...]:
    """Return the types that a service publishes, under its own name."""
    return tuple(event.type.replace(EVERY_SERVICE, service) for event in produced_by(service))

"""The events that identity publishes: accounts, sessions, and the erasures it coordinates."""

from typing import Annotated

from pydantic import Field

from contracts.envelope import Event, Payload
from contracts.fields import (
    AuthProvider,
    Count,
    DataKind,
    Day,
    Digest,
    ErasedCounts,
    ErasureId,
    HeldCounts,
    HoldId,
    MailId,
    MailKind,
    RecordId,
    RevocationReason,
    ServiceName,
    SessionId,
    Timestamp,
    UserId,
)


class UserRegistered(Event, type="identity.user.registered.v1"):
    """An account was created."""

    user_id: UserId
    auth_provider: AuthProvider
    registered_at: Timestamp


class UserVerified(Event, type="identity.user.verified.v1"):
    """The person has proved that the address of the account is theirs."""

    user_id: UserId
    verified_at: Timestamp


class MailRequested(Event, type="identity.mail.requested.v1", deprecated=True):
    """Deprecated: nobody publishes it any more. Identity used to ask its own worker for a mail by it."""

    mail_id: MailId
    kind: MailKind

    @property
    def subject(self) -> str:
        """The mail; whom it goes to is nobody else's business."""
        return f"mails/{self.mail_id}"


class UserActive(Event, type="identity.user.active.v1"):
    """The person signed in or refreshed a session; said at most once a day, it restarts retention clocks."""

    user_id: UserId
    active_on: Day


class SessionRevoked(Event, type="identity.session.revoked.v1"):
    """A session ended, or all of them when session_id is null; their access tokens are refused at once."""

    user_id: UserId
    session_id: SessionId | None
    reason: RevocationReason


class UserFrozen(Event, type="identity.user.frozen.v1"):
    """The person asked to be erased and can still change their mind; what can't be kept so long goes now."""

    user_id: UserId
    erasure_id: ErasureId
    grace_until: Timestamp


class Hold(Payload):
    """What one service must not erase before a moment: one record of a kind, or all of it."""

    hold_id: HoldId
    service: ServiceName
    kind: DataKind
    record: RecordId | None
    expires_at: Timestamp


class HoldChanged(Event, type="identity.hold.changed.v1"):
    """A hold on somebody who has not asked to be erased was placed, or has ended; each ends once.

    Until it ends, the service keeps the thing whatever else would destroy it, and gives it to nobody.
    """

    user_id: UserId
    hold_id: HoldId
    service: ServiceName
    kind: DataKind
    record: RecordId | None
    expires_at: Timestamp
    ended_at: Timestamp | None


class UserDeleted(Event, type="identity.user.deleted.v1"):
    """The person asked to be erased; every participant erases what it holds, but for holds, and reports.

    Said again when a hold has ended or was placed: the `holds` of the highest `holds_version` are all that
    is held, whatever comes later.
    """

    user_id: UserId
    erasure_id: ErasureId
    requested_at: Timestamp
    deadline: Timestamp
    holds: tuple[Hold, ...] = ()
    holds_version: Count = 0


class ParticipantErasure(Payload):
    """What one participant has destroyed, and when it was done."""

    service: ServiceName
    completed_at: Timestamp
    erased: ErasedCounts


class ErasureCompleted(Event, type="identity.erasure.completed.v1"):
    """The last participant has reported; nothing of the person is left.

    But in services of `without_retired`, if there are any: they are gone and can't be asked.
    """

    erasure_id: ErasureId
    requested_at: Timestamp
    completed_at: Timestamp
    participants: Annotated[tuple[ParticipantErasure, ...], Field(min_length=1)]
    certificate_digest: Digest | None = None
    without_retired: tuple[ServiceName, ...] = ()

    @property
    def subject(self) -> str:
        """The erasure; the person has no id any more."""
        return f"erasures/{self.erasure_id}"


class PartialErasure(ParticipantErasure):
    """What one participant has destroyed, and what holds still keep there."""

    held: HeldCounts


class ErasurePartial(Event, type="identity.erasure.partial.v1"):
    """Nothing of the person is left but what holds keep; when these end, the erasure goes on by itself."""

    erasure_id: ErasureId
    requested_at: Timestamp
    partial_at: Timestamp
    participants: Annotated[tuple[PartialErasure, ...], Field(min_length=1)]
    certificate_digest: Digest

    @property
    def subject(self) -> str:
        """The erasure, not the person."""
        return f"erasures/{self.erasure_id}"


class ErasureOverdue(Event, type="identity.erasure.overdue.v1"):
    """The deadline of an erasure has passed and participants are still silent; an operator has to look."""

    erasure_id: ErasureId
    deadline: Timestamp
    missing_participants: Annotated[tuple[ServiceName, ...], Field(min_length=1)]

    @property
    def subject(self) -> str:
        """The erasure that is late."""
        return f"erasures/{self.erasure_id}"

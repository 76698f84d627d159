"""Tell of sessions that have ended: the gateways at once, and whoever else hears the event."""

from uuid import UUID

from chassis.db import UnitOfWork
from contracts.fields import RevocationReason
from contracts.identity import SessionRevoked
from identity.models import SessionRevocation


def announce_revocation(
    uow: UnitOfWork, *, user_id: UUID, session_id: UUID | None, reason: RevocationReason
) -> None:
    """Announce the end of a session, or of all the person had; wakes the gateways that wait for news."""
    uow.publish(SessionRevoked(user_id=user_id, session_id=session_id, reason=reason))
    uow.wake_on_commit(SessionRevocation.__tablename__)

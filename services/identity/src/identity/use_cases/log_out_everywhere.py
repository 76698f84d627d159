"""End every session of a person."""

from datetime import datetime, timedelta
from uuid import UUID

from chassis.db import UnitOfWork
from contracts.fields import RevocationReason
from contracts.identity import SessionRevoked
from identity.repositories import Sessions


async def log_out_everywhere(
    uow: UnitOfWork, *, user_id: UUID, reason: RevocationReason, now: datetime, token_lifetime: timedelta
) -> None:
    """End all sessions; the caller has locked the account."""
    sessions = Sessions(uow.session)
    live = await sessions.live_of(user_id)
    await sessions.end(live, reason=reason.value, now=now, token_lifetime=token_lifetime)
    if live:
        uow.publish(SessionRevoked(user_id=user_id, session_id=None, reason=reason))

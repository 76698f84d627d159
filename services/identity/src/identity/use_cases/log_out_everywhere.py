"""End every session of a person."""

from datetime import datetime, timedelta
from uuid import UUID

from chassis.db import UnitOfWork
from contracts.fields import RevocationReason
from contracts.identity import SessionRevoked
from identity.repositories import Sessions


async def log_out_everywhere(
    uow: UnitOfWork,
    *,
    user_id: UUID,
    reason: RevocationReason,
    now: datetime,
    token_lifetime: timedelta,
    keep: UUID | None = None,
) -> None:
    """End all sessions, or all but the one to `keep`; the caller has locked the account."""
    sessions = Sessions(uow.session)
    ending = [session for session in await sessions.live_of(user_id) if session.id != keep]
    await sessions.end(ending, reason=reason.value, now=now, token_lifetime=token_lifetime)
    if keep is None and ending:
        uow.publish(SessionRevoked(user_id=user_id, session_id=None, reason=reason))
    elif keep is not None:
        # "All of them" would refuse the kept session's tokens as well.
        for session in ending:
            uow.publish(SessionRevoked(user_id=user_id, session_id=session.id, reason=reason))

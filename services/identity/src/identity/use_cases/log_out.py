"""End sessions at their owner's request."""

from datetime import datetime, timedelta
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import Unauthorized
from contracts.fields import RevocationReason
from identity.repositories import SessionEnd, Sessions, Users
from identity.use_cases.announce_revocation import announce_revocation


async def log_out(
    uow: UnitOfWork, *, user_id: UUID, session_id: UUID, now: datetime, token_lifetime: timedelta
) -> None:
    """End one session of the person; harmless when it has ended, or is not theirs."""
    if await Users(uow.session).lock(user_id) is None:
        raise Unauthorized
    reason = RevocationReason.LOGOUT
    end = SessionEnd(reason.value, now, token_lifetime)
    if await Sessions(uow.session).end(session_id, end, user_id=user_id):
        announce_revocation(uow, user_id=user_id, session_id=session_id, reason=reason)

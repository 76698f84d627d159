"""End one of the person's sessions, chosen from their list."""

from datetime import datetime, timedelta
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound, Unauthorized
from contracts.fields import RevocationReason
from identity.repositories import SessionEnd, Sessions, Users
from identity.use_cases.announce_revocation import announce_revocation


async def end_session(
    uow: UnitOfWork, *, user_id: UUID, session_id: UUID, now: datetime, token_lifetime: timedelta
) -> None:
    """End the session; raises `NotFound` when it is not the person's or has ended."""
    if await Users(uow.session).lock(user_id) is None:
        raise Unauthorized
    reason = RevocationReason.ENDED_BY_USER
    end = SessionEnd(reason.value, now, token_lifetime)
    if not await Sessions(uow.session).end(session_id, end, user_id=user_id):
        raise NotFound
    announce_revocation(uow, user_id=user_id, session_id=session_id, reason=reason)

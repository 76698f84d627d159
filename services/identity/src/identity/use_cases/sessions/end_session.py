"""End one of a person's sessions, and tell of it."""

from uuid import UUID

from chassis.db import UnitOfWork
from contracts.fields import RevocationReason
from contracts.identity import SessionRevoked
from identity.account_rules import AccountRules
from identity.models import SessionRevocation
from identity.repositories import Sessions


async def end_session(
    uow: UnitOfWork, *, user_id: UUID, session_id: UUID, reason: RevocationReason, rules: AccountRules
) -> bool:
    """End the session; False when it is not the person's or has ended."""
    end = rules.session_end(reason, uow.now())
    ended = await Sessions(uow.session).end(session_id, end, user_id=user_id)
    if ended:
        announce_revocation(uow, user_id=user_id, session_id=session_id, reason=reason)
    return ended


def announce_revocation(
    uow: UnitOfWork, *, user_id: UUID, session_id: UUID | None, reason: RevocationReason
) -> None:
    """Announce the end of a session, or of all the person had; wakes the gateways that wait for news."""
    uow.publish(SessionRevoked(user_id=user_id, session_id=session_id, reason=reason))
    uow.wake(SessionRevocation.__tablename__)

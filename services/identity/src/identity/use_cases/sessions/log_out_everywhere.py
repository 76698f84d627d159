"""End every session of a person."""

from uuid import UUID

from chassis.db import UnitOfWork
from contracts.fields import RevocationReason
from identity.account_rules import AccountRules
from identity.repositories import Sessions
from identity.use_cases.sessions.end_session import announce_revocation


async def log_out_everywhere(
    uow: UnitOfWork,
    *,
    user_id: UUID,
    reason: RevocationReason,
    rules: AccountRules,
    keep: UUID | None = None,
) -> None:
    """End all sessions, or all but the one to `keep`; the caller has locked the account."""
    end = rules.session_end(reason, uow.now())
    sessions = Sessions(uow.session)
    if keep is None:
        if await sessions.end_all(user_id, end):
            announce_revocation(uow, user_id=user_id, session_id=None, reason=reason)
        return
    # "All of them" would refuse the kept session's tokens as well.
    for session_id in await sessions.end_others(user_id, end, keep=keep):
        announce_revocation(uow, user_id=user_id, session_id=session_id, reason=reason)

"""Exchange a refresh token for a new pair."""

import structlog

from chassis.db import UnitOfWork
from contracts.fields import RevocationReason
from contracts.identity import UserActive
from identity.account_rules import AccountRules
from identity.mail.policy import MailKind
from identity.models import Session
from identity.policy import Refresh, judge_refresh, session_expired
from identity.repositories import OpenSession, Sessions
from identity.tokens import AuthorizedSession, RefreshClaim
from identity.use_cases.mail.request_mail import request_mail
from identity.use_cases.sessions.end_session import announce_revocation

log = structlog.get_logger(__name__)


async def refresh_session(
    uow: UnitOfWork, *, claim: RefreshClaim, rules: AccountRules
) -> AuthorizedSession | None:
    """Rotate the session's refresh token; None when it is not good: what that has ended must commit.

    A replaced token that comes back after its successor, or the access token beside that, was used ends the
    session: two parties hold tokens of it and only one of them can be its owner (RFC 9700 §4.14.2).
    """
    sessions, now = Sessions(uow.session), uow.now()
    found = await sessions.lock(claim.session_id)
    if found is None or session_expired(
        created_at=found.created_at,
        last_used_at=found.last_used_at,
        now=now,
        idle=rules.idle,
        absolute=rules.absolute,
    ):
        return None
    verdict = judge_refresh(
        presented=claim.generation,
        current=found.generation,
        rotated_at=found.rotated_at,
        current_seen=found.seen_generation >= found.generation,
        now=now,
        repeat_for=rules.repeat,
    )
    if verdict is Refresh.REUSED:
        await _end_reused(uow, found, rules)
        return None
    rotates = verdict is Refresh.ROTATE
    session = Session(
        id=found.id,
        user_id=found.user_id,
        generation=found.generation + rotates,
        rotated_at=now if rotates else found.rotated_at,
        authenticated_at=found.authenticated_at,
    )
    if await sessions.renew(session, now=now):
        uow.publish(UserActive(user_id=found.user_id, active_on=now.date()))
    return AuthorizedSession(session, email_verified=found.is_verified)


async def _end_reused(uow: UnitOfWork, session: OpenSession, rules: AccountRules) -> None:
    log.warning("refresh_token_reused", session_id=str(session.id))
    reason = RevocationReason.REUSE_DETECTED
    end = rules.session_end(reason, uow.now())
    await Sessions(uow.session).end(session.id, end, user_id=session.user_id)
    announce_revocation(uow, user_id=session.user_id, session_id=session.id, reason=reason)
    request_mail(uow, MailKind.SESSION_ENDED_FOR_SAFETY, user_id=session.user_id)

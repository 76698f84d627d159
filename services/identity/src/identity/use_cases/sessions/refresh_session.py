"""Exchange a refresh token for a new pair."""

from datetime import datetime

import structlog

from chassis.db import UnitOfWork
from contracts.fields import RevocationReason
from identity.mail.policy import MailKind
from identity.models import Session
from identity.policy import Refresh, judge_refresh, session_expired
from identity.repositories import SessionEnd, Sessions, Users
from identity.session_rules import SessionRules
from identity.tokens import AuthorizedSession, RefreshClaim
from identity.use_cases.mail.request_mail import request_mail
from identity.use_cases.sessions.end_session import announce_revocation
from identity.use_cases.sessions.log_in import note_activity

EXPIRED = "expired"

log = structlog.get_logger(__name__)


async def refresh_session(
    uow: UnitOfWork, *, claim: RefreshClaim, rules: SessionRules, now: datetime
) -> AuthorizedSession | None:
    """Rotate the session's refresh token; None when it is not good: what that has ended must commit.

    A replaced token that comes back after its successor, or the access token beside that, was used ends the
    session: two parties hold tokens of it and only one of them can be its owner (RFC 9700 §4.14.2).
    """
    # Account before session: everything that locks both does it in this order, so none waits in a circle.
    user = await Users(uow.session).lock_owner_of(claim.session_id)
    session = await Sessions(uow.session).lock(claim.session_id)
    if user is None or session is None or not user.is_active or session.ended_at is not None:
        return None
    if session_expired(
        created_at=session.created_at,
        last_used_at=session.last_used_at,
        now=now,
        idle=rules.idle,
        absolute=rules.absolute,
    ):
        # Its access tokens expired long before: nothing is left to refuse or to announce.
        session.ended_at, session.end_reason = now, EXPIRED
        return None
    verdict = judge_refresh(
        presented=claim.generation,
        current=session.generation,
        rotated_at=session.rotated_at,
        current_seen=session.seen_generation >= session.generation,
        now=now,
        repeat_for=rules.repeat,
    )
    if verdict is Refresh.REUSED:
        await _end_reused(uow, session, rules, now)
        return None
    if verdict is Refresh.ROTATE:
        session.generation, session.rotated_at = session.generation + 1, now
    session.last_used_at = now
    note_activity(uow, user, now=now)
    return AuthorizedSession(session, email_verified=user.is_verified)


async def _end_reused(uow: UnitOfWork, session: Session, rules: SessionRules, now: datetime) -> None:
    log.warning("refresh_token_reused", session_id=str(session.id))
    reason = RevocationReason.REUSE_DETECTED
    end = SessionEnd(reason.value, now, rules.access_token)
    await Sessions(uow.session).end(session.id, end, user_id=session.user_id)
    announce_revocation(uow, user_id=session.user_id, session_id=session.id, reason=reason)
    request_mail(uow, user_id=session.user_id, kind=MailKind.SESSION_ENDED_FOR_SAFETY, now=now)

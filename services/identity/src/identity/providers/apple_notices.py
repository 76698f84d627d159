"""Apple's notices to the server: what a person did with Apple's part of the account."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from contracts.fields import AuthProvider
from identity.providers.id_tokens import ISSUERS
from identity.providers.policy import NoticeRefused, ProviderNotOffered
from identity.providers.refusals import logged
from identity.providers.tokens import ProviderTokens, TokenRefused, moment_of, name_in, subject_of

REMEMBERED = timedelta(days=30)
"""How long a notice is good for, and so how long its `jti` must be remembered."""
_REQUIRED = ("iss", "aud", "iat", "jti")
_MILLISECONDS_FROM = 100_000_000_000


class NoticeKind(StrEnum):
    """What a notice is about; Apple may add kinds."""

    CONSENT_REVOKED = "consent-revoked"
    ACCOUNT_DELETE = "account-delete"
    EMAIL_DISABLED = "email-disabled"
    EMAIL_ENABLED = "email-enabled"
    OTHER = "other"


@dataclass(frozen=True)
class AppleNotice:
    """A genuine notice. `happened_at` is by Apple's clock, like the `iat` of its id_tokens."""

    jti: str
    kind: NoticeKind
    issuer: str
    subject: str
    happened_at: datetime
    expires_at: datetime


class AppleNotices:
    """Believes the notices that Apple signed for us."""

    def __init__(self, tokens: ProviderTokens, *, audiences: tuple[str, ...]) -> None:
        self._tokens = tokens
        self._audiences = audiences

    async def read(self, payload: str, *, now: datetime) -> AppleNotice:
        """Return the notice; raises `NoticeRefused` or `ProviderNotOffered`."""
        if not self._audiences:
            raise ProviderNotOffered
        with logged(AuthProvider.APPLE.value, NoticeRefused):
            claims = await self._tokens.read(payload, required=_REQUIRED)
            issued_at = moment_of(claims, "iat")
            # Apple gives notices no end, so they get one: an id that is forgotten must not be good again.
            if now > issued_at + REMEMBERED:
                raise TokenRefused("iat")
            event = _event(claims)
            return AppleNotice(
                jti=name_in(claims, "jti"),
                kind=_kind(event.get("type")),
                issuer=ISSUERS[AuthProvider.APPLE][0],
                subject=subject_of(event),
                happened_at=_happened_at(event.get("event_time"), issued_at),
                expires_at=issued_at + REMEMBERED,
            )


def _event(claims: dict[str, Any]) -> dict[str, Any]:
    # Apple sends the event as JSON in a string.
    event = claims.get("events")
    if isinstance(event, str):
        try:
            event = json.loads(event)
        except (ValueError, RecursionError):
            raise TokenRefused("events") from None
    if not isinstance(event, dict):
        raise TokenRefused("events")
    return event


def _kind(name: Any) -> NoticeKind:
    try:
        return NoticeKind(name)
    except ValueError:
        return NoticeKind.OTHER


def _happened_at(moment: Any, issued_at: datetime) -> datetime:
    if isinstance(moment, bool) or not isinstance(moment, int) or moment <= 0:
        return issued_at
    seconds = moment / 1000 if moment >= _MILLISECONDS_FROM else moment
    # Nothing that a notice tells happens after it was written.
    return min(datetime.fromtimestamp(min(seconds, issued_at.timestamp()), UTC), issued_at)

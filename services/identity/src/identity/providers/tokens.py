"""Tokens that a provider signed for us: signature, issuer, audience, times, nonce (OIDC Core §3.1.3.7)."""

import hashlib
import hmac
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from jwt import PyJWTError

from chassis.clock import Clock
from contracts.fields import AuthProvider
from identity.addresses import EMAIL_MAX_LENGTH, checked_email
from identity.providers.jwks import ProviderKeys
from identity.providers.policy import PROVIDER_TOKEN_MAX_LENGTH

LEEWAY = timedelta(seconds=60)
"""How far a provider's clock may be from ours."""
MAX_NAME_LENGTH = 255
# A token that brings its own key or adds rules of reading is not what providers send (RFC 8725 §3.10).
_UNWANTED_HEADERS = frozenset({"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc", "cty"})


class TokenRefused(Exception):
    """The token proves nothing; the message is a fixed word for the log."""


@dataclass(frozen=True)
class ProvenIdentity:
    """Whom a provider has vouched for. `issuer` is the provider's first name, whichever the token used."""

    provider: AuthProvider
    issuer: str
    subject: str
    audience: str
    email: str | None
    email_proved: bool
    private_relay: bool
    nonce: str | None
    issued_at: datetime
    expires_at: datetime


class ProviderTokens:
    """Reads what one provider signs; times are judged by our clock."""

    def __init__(
        self, keys: ProviderKeys, *, issuers: tuple[str, ...], audiences: tuple[str, ...], clock: Clock
    ) -> None:
        self._keys = keys
        self._issuers = issuers
        self._audiences = audiences
        self._clock = clock

    async def read(self, token: str, *, required: tuple[str, ...]) -> dict[str, Any]:
        """Return the claims, `aud` as one string; raises `TokenRefused`.

        An `exp` that is there is held, whether or not it is required.
        """
        try:
            kid, algorithm = _header(token)
            key = await self._keys.find(kid)
            if key is None or key.algorithm_name != algorithm:
                raise TokenRefused("key")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audiences,
                issuer=self._issuers,
                options={
                    "require": list(required),
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (PyJWTError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise TokenRefused(type(error).__name__) from None
        claims["aud"] = self._one_audience(claims["aud"])
        _check_times(claims, self._clock.now().timestamp())
        return claims

    def _one_audience(self, audience: Any) -> str:
        # Another party named beside us could present the token as its own.
        if isinstance(audience, list) and len(audience) == 1:
            audience = audience[0]
        if not isinstance(audience, str) or audience not in self._audiences:
            raise TokenRefused("audience")
        return audience


def _header(token: str) -> tuple[str, str]:
    if len(token) > PROVIDER_TOKEN_MAX_LENGTH:
        raise TokenRefused("length")
    header = jwt.get_unverified_header(token)
    kid, algorithm = header.get("kid"), header.get("alg")
    if _UNWANTED_HEADERS & set(header) or str(header.get("typ", "JWT")).upper() != "JWT":
        raise TokenRefused("header")
    if not isinstance(kid, str) or not isinstance(algorithm, str):
        raise TokenRefused("header")
    return kid, algorithm


def _check_times(claims: dict[str, Any], now: float) -> None:
    for name in ("exp", "iat", "nbf"):
        moment = claims.get(name)
        if moment is None:
            continue
        if isinstance(moment, bool) or not isinstance(moment, int | float) or not math.isfinite(moment):
            raise TokenRefused(name)
        if not 0 < moment < datetime.max.replace(tzinfo=UTC).timestamp():
            raise TokenRefused(name)
        late = now - moment if name == "exp" else moment - now
        if late >= LEEWAY.total_seconds():
            raise TokenRefused(name)


def check_nonce(claims: dict[str, Any], sent: str | None) -> str | None:
    """Return the token's nonce, the SHA-256 of the one that was sent; both or neither must be there.

    Whoever has the token can read its nonce, so that one sent as it stands there would prove nothing: only
    who began the sign-in knows the text that was hashed.
    """
    found = claims.get("nonce")
    if found is None and sent is None:
        return None
    if not isinstance(found, str) or sent is None:
        raise TokenRefused("nonce")
    hashed = hashlib.sha256(sent.encode()).hexdigest()
    if not hmac.compare_digest(found.encode(errors="replace"), hashed.encode()):
        raise TokenRefused("nonce")
    return found


def subject_of(claims: dict[str, Any]) -> str:
    """Return the provider's name for the person."""
    return name_in(claims, "sub")


def name_in(claims: dict[str, Any], claim: str) -> str:
    """Return a claim that names something: at most 255 printable ASCII characters (OIDC Core §2)."""
    name = claims.get(claim)
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH:
        raise TokenRefused(claim)
    if not (name.isascii() and name.isprintable()):
        raise TokenRefused(claim)
    return name


def email_of(claims: dict[str, Any]) -> str | None:
    """Return the address in the token, or None when there is none that a mail could reach."""
    email = claims.get("email")
    if not isinstance(email, str) or len(email) > EMAIL_MAX_LENGTH:
        return None
    try:
        return checked_email(email)
    except ValueError:
        return None


def says_yes(claim: Any) -> bool:
    """Read a boolean that Apple sends as a boolean or as a string; anything else is no."""
    return claim is True or claim == "true"


def moment_of(claims: dict[str, Any], name: str) -> datetime:
    """Return a time claim that was checked."""
    return datetime.fromtimestamp(claims[name], UTC)

"""Identity's tokens: signed access tokens, derived refresh tokens, random capabilities."""

import base64
import hashlib
import hmac
import json
import math
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm
from jwt.utils import der_to_raw_signature

from chassis.auth import ACCESS_TOKEN_TYPE, ALGORITHM
from chassis.settings import key_bytes
from chassis.signing_keys import SigningKeys
from identity.models import Session
from identity.policy import issued_at
from identity.settings import IdentitySettings

_REFRESH_BYTES = 16 + 4 + 32
_UUID_MARKS = 15 << 76 | 3 << 62  # Where a UUID says its version and variant (RFC 9562 §5.7).
CLIENT_ID = "irisvue-app"
"""Nobody but our own app is a client; RFC 9068 §2.2 wants it named."""


class _RepeatableES256(ECAlgorithm):
    """ES256 whose signature of the same bytes is the same (RFC 6979 §3.2), and needs no random numbers."""

    def sign(self, msg: bytes, key: EllipticCurvePrivateKey) -> bytes:
        """Return the signature in the form of RFC 7518 §3.4."""
        return der_to_raw_signature(key.sign(msg, ECDSA(SHA256(), deterministic_signing=True)), key.curve)


_SIGNER = jwt.PyJWS(algorithms=[])
_SIGNER.register_algorithm(ALGORITHM, _RepeatableES256(ECAlgorithm.SHA256))


class UnreadableRefreshToken(ValueError):
    """This is no refresh token that identity made."""


@dataclass(frozen=True)
class AuthorizedSession:
    """A session and what its access tokens say of its account."""

    session: Session
    email_verified: bool


@dataclass(frozen=True)
class RefreshClaim:
    """What a genuine refresh token says: a session and a generation."""

    session_id: UUID
    generation: int


class TokenIssuer:
    """Signs access tokens and derives refresh tokens."""

    def __init__(self, settings: IdentitySettings) -> None:
        key = load_pem_private_key(settings.signing_key.get_secret_value().encode(), password=None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise TypeError("IDENTITY_SIGNING_KEY must be an EC P-256 key; `make env` generates one")
        self.signing_keys = SigningKeys(key, token_lifetime=settings.access_token_lifetime)
        self._refresh_key = key_bytes(settings.refresh_token_key)
        self._issuer = settings.access_token_issuer
        self._audience = settings.access_token_audience
        self._lifetime = settings.access_token_lifetime

    def jwks(self, now: datetime) -> dict[str, Any]:
        """Return the public keys (RFC 7517 §5)."""
        return {"keys": self.signing_keys.published(now)}

    def access_token(self, authorized: AuthorizedSession, *, now: datetime) -> tuple[str, int]:
        """Return an access token of the session (RFC 9068) and the seconds that it is good for.

        It is the same to the letter for everybody who gets the pair of one rotation at the same time, as long
        as the account is the same.
        """
        session = authorized.session
        begins = issued_at(rotated_at=session.rotated_at, now=now)
        ends = begins + self._lifetime
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(session.user_id),
            "client_id": CLIENT_ID,
            "sid": str(session.id),
            "jti": self._token_id(authorized, begins),
            # Of a sign-in in the second of a revocation the session's id tells which was first.
            "iat": int(begins.timestamp()),
            "exp": int(ends.timestamp()),
            "auth_time": int(session.authenticated_at.timestamp()),
            "gen": session.generation,
            "email_verified": authorized.email_verified,
        }
        key = self.signing_keys.signing(begins)
        headers = {"typ": ACCESS_TOKEN_TYPE, "kid": key.kid}
        payload = json.dumps(claims, separators=(",", ":")).encode()
        token = _SIGNER.encode(payload, key.private_key, algorithm=ALGORITHM, headers=headers)
        return token, math.ceil((ends - now).total_seconds())

    def refresh_token(self, session: Session) -> str:
        """Return the refresh token of the session's current generation; the same each time it is asked."""
        head = session.id.bytes + session.generation.to_bytes(4, "big")
        return base64.urlsafe_b64encode(head + self._tag(head)).rstrip(b"=").decode()

    def read_refresh_token(self, token: str) -> RefreshClaim:
        """Return what a genuine token says; raises `UnreadableRefreshToken` for any other string."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise UnreadableRefreshToken from None
        if len(raw) != _REFRESH_BYTES or not hmac.compare_digest(raw[20:], self._tag(raw[:20])):
            raise UnreadableRefreshToken
        return RefreshClaim(session_id=UUID(bytes=raw[:16]), generation=int.from_bytes(raw[16:20], "big"))

    def _token_id(self, authorized: AuthorizedSession, begins: datetime) -> str:
        """Return a UUID version 7 whose random bits are keyed and the same for the same token."""
        session, verified = authorized.session, authorized.email_verified
        text = f"access\x00{session.id}|{session.generation}|{begins.timestamp()}|{verified}"
        random = int.from_bytes(
            hmac.new(self._refresh_key, text.encode(), hashlib.sha256).digest()[:10], "big"
        )
        fields = (int(begins.timestamp() * 1000) << 80) | random
        return str(UUID(int=fields & ~_UUID_MARKS | 7 << 76 | 2 << 62))

    def _tag(self, head: bytes) -> bytes:
        return hmac.new(self._refresh_key, b"refresh\x00" + head, hashlib.sha256).digest()


def new_capability() -> str:
    """Return a fresh secret of 256 bits that carries a right."""
    return secrets.token_urlsafe(32)


def capability_hash(capability: str) -> str:
    """Return the form in which a capability is stored: 64 hex digits."""
    return hashlib.sha256(capability.encode()).hexdigest()

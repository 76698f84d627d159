"""Signing keys of JSON Web Tokens: one signs, its successor is published before use, the last is remembered.

Whoever verifies tokens keeps the published keys for five minutes, so a key is published for ten before it
signs, and stays published until the last token that it signed has expired: no rotation makes a good token
fail.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm

from chassis.auth import ALGORITHM
from chassis.sealing import OlderFormat, SealingKeys

PUBLISH_BEFORE_USE = timedelta(minutes=10)
CLOCK_LEEWAY = timedelta(minutes=1)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class SigningKey:
    """A key and the moment from which it signs."""

    kid: str
    private_key: EllipticCurvePrivateKey
    public_jwk: dict[str, Any]
    active_from: datetime


class SigningKeys:
    """The keys that this process knows; the first comes from the settings, the others from rotation.

    `loaded` tells whether those of rotation are known by now.
    """

    def __init__(self, first: EllipticCurvePrivateKey, *, token_lifetime: timedelta) -> None:
        jwk = public_jwk(first)
        self._first = SigningKey(jwk["kid"], first, jwk, _BEGINNING)
        self._keys: tuple[SigningKey, ...] = (self._first,)
        self.keep = token_lifetime + CLOCK_LEEWAY
        self.loaded = False

    def replace(self, rotated: Sequence[SigningKey]) -> None:
        """Take over the keys that are stored now."""
        self._keys = tuple(sorted((self._first, *rotated), key=lambda key: key.active_from))
        self.loaded = True

    def signing(self, now: datetime) -> SigningKey:
        """Return the key that signs at that moment."""
        return [key for key in self._keys if key.active_from <= now][-1]

    def published(self, now: datetime) -> list[dict[str, Any]]:
        """Return the public keys to publish: the signing one, the next, and those whose tokens still live."""
        ends = [*(key.active_from + self.keep for key in self._keys[1:]), None]
        return [key.public_jwk for key, end in zip(self._keys, ends, strict=True) if end is None or now < end]


def new_private_key() -> EllipticCurvePrivateKey:
    """Return a fresh P-256 key (ES256, RFC 7518 §3.4)."""
    return ec.generate_private_key(ec.SECP256R1())


def public_jwk(key: EllipticCurvePrivateKey) -> dict[str, Any]:
    """Return the public JWK of `key`; its `kid` is the RFC 7638 thumbprint."""
    jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
    return {**members, "kid": thumbprint, "alg": ALGORITHM, "use": "sig"}


def keys_in(jwks: str) -> list[dict[str, Any]]:
    """Return the keys of a JWKS document (RFC 7517 §5), as the gateway publishes it; raises ValueError."""
    document = json.loads(jwks)
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise ValueError("is no JWKS document")  # noqa: TRY004 - what a file says, not a type
    return [key for key in keys if isinstance(key, dict)]


def ec_keys_in(jwks: str) -> dict[str, PyJWK]:
    """Return the ES256 keys of such a document by their `kid`; raises ValueError."""
    usable = [key for key in keys_in(jwks) if key.get("crv") == "P-256" and isinstance(key.get("kid"), str)]
    return {key["kid"]: PyJWK(key, algorithm=ALGORITHM) for key in usable}


def seal_private_key(key: EllipticCurvePrivateKey, *, kid: str, keys: SealingKeys) -> bytes:
    """Return the key as it may be stored, bound to its `kid`."""
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    context = kid.encode()
    return keys.seal(plain, context=context, older=OlderFormat(context))


def open_private_key(sealed: bytes, *, kid: str, keys: SealingKeys) -> EllipticCurvePrivateKey:
    """Return the key of that `kid`; raises what `SealingKeys.open` raises."""
    context = kid.encode()
    key = load_der_private_key(keys.open(sealed, context=context, older=OlderFormat(context)), None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise TypeError("a signing key must be an EC key")
    return key

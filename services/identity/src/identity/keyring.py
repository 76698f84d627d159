"""The ring of signing keys: one signs, its successor is published before use, the last one is remembered.

Whoever verifies tokens keeps the published keys for five minutes, so a key is published for ten before it
signs, and stays published until the last token that it signed has expired: no rotation makes a good token
fail.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from identity.models import SigningKey

PUBLISH_BEFORE_USE = timedelta(minutes=10)
CLOCK_LEEWAY = timedelta(minutes=1)
_FORMAT = b"\x01"
"""AES-256-GCM under a key derived from IDENTITY_REFRESH_TOKEN_KEY: this byte, a nonce, ciphertext and tag."""
_NONCE_BYTES = 12
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class RingKey:
    """A key and the moment from which it signs."""

    kid: str
    private_key: EllipticCurvePrivateKey
    public_jwk: dict[str, Any]
    active_from: datetime


class KeyRing:
    """The keys that this process knows; the first comes from the settings, the others from rotation."""

    def __init__(
        self, first: EllipticCurvePrivateKey, jwk: dict[str, Any], *, token_lifetime: timedelta
    ) -> None:
        self._first = RingKey(jwk["kid"], first, jwk, _BEGINNING)
        self._keys: tuple[RingKey, ...] = (self._first,)
        self.keep = token_lifetime + CLOCK_LEEWAY

    def replace(self, rotated: Sequence[RingKey]) -> None:
        """Take over the keys that are stored now."""
        self._keys = tuple(sorted((self._first, *rotated), key=lambda key: key.active_from))

    def signing(self, now: datetime) -> RingKey:
        """Return the key that signs at that moment."""
        return [key for key in self._keys if key.active_from <= now][-1]

    def published(self, now: datetime) -> list[dict[str, Any]]:
        """Return the public keys to publish: the signing one, the next, and those whose tokens still live."""
        ends = [*(key.active_from + self.keep for key in self._keys[1:]), None]
        return [key.public_jwk for key, end in zip(self._keys, ends, strict=True) if end is None or now < end]


def new_private_key() -> EllipticCurvePrivateKey:
    """Return a fresh P-256 key (ES256, RFC 7518 §3.4)."""
    return ec.generate_private_key(ec.SECP256R1())


def seal_private_key(key: EllipticCurvePrivateKey, *, kid: str, secret: bytes) -> bytes:
    """Return the key under AES-256-GCM, bound to its `kid`."""
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + AESGCM(_sealing_key(secret)).encrypt(nonce, plain, kid.encode())


def open_private_key(row: SigningKey, *, secret: bytes) -> RingKey:
    """Return the key of a row; raises `InvalidTag` when it was sealed with another secret or altered."""
    head, sealed = row.sealed_private_key[: 1 + _NONCE_BYTES], row.sealed_private_key[1 + _NONCE_BYTES :]
    if head[:1] != _FORMAT or len(head) <= _NONCE_BYTES:
        raise InvalidTag
    nonce = head[1:]
    key = load_der_private_key(AESGCM(_sealing_key(secret)).decrypt(nonce, sealed, row.kid.encode()), None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise TypeError("a signing key must be an EC key")
    return RingKey(row.kid, key, row.public_jwk, row.active_from)


def _sealing_key(secret: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"irisvue identity signing keys").derive(secret)

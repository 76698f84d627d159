"""Keeps what a provider entrusted to us unreadable in the database."""

import secrets
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = b"\x01"
"""AES-256-GCM under IDENTITY_PROVIDER_TOKEN_KEY: this byte, a nonce of 12 bytes, ciphertext with its tag."""
_NONCE_BYTES = 12


class SealBroken(Exception):
    """The sealed token was changed, belongs to somebody else, or was sealed with another key."""


class TokenSeal:
    """Seals a token for one person at one client of one provider; nowhere else does it open."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, token: str, *, user_id: UUID, provider: str, client_id: str) -> bytes:
        """Return the sealed token."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        ciphertext = self._cipher.encrypt(nonce, token.encode(), _owner(user_id, provider, client_id))
        return _FORMAT + nonce + ciphertext

    def open(self, sealed: bytes, *, user_id: UUID, provider: str, client_id: str) -> str:
        """Return the token; raises `SealBroken`."""
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if sealed[:1] != _FORMAT:
                raise SealBroken
            return self._cipher.decrypt(nonce, ciphertext, _owner(user_id, provider, client_id)).decode()
        except (InvalidTag, ValueError):
            raise SealBroken from None


def _owner(user_id: UUID, provider: str, client_id: str) -> bytes:
    return b"\x00".join((_FORMAT, user_id.bytes, provider.encode(), client_id.encode()))

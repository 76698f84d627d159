"""AES-256-GCM in one format that names its key, so that a new key seals while older ones still open.

Sealed bytes are: the version of the format (1 byte), the id of the key (4), a nonce (12), the ciphertext, and
its tag (16). The first two are bound to the ciphertext, as is the context that whoever seals gives.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
FORMAT: Final = b"\x02"
_KEY_ID_BYTES: Final = 4
_HEADER_BYTES: Final = len(FORMAT) + _KEY_ID_BYTES
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
SEAL_OVERHEAD: Final = _HEADER_BYTES + _NONCE_BYTES + _TAG_BYTES


class SealingError(Exception):
    """Something about keys or sealed bytes is not right; messages never carry key or content."""


class SealBroken(SealingError):
    """Sealed bytes were changed, cut or swapped, belong to another context, or are in no known format."""


class UnknownKey(SealBroken):
    """The bytes name a key that is not among those that are open here; the message says which setting."""


@dataclass(frozen=True, slots=True)
class OlderFormat:
    """How the same was sealed before keys were named: these first bytes, a nonce, the ciphertext, its tag."""

    associated_data: bytes
    header: bytes = b"\x01"


class SealingKeys:
    """The keys of one purpose: the first seals, every one of them opens what it has sealed."""

    def __init__(self, setting: str, keys: Sequence[bytes]) -> None:
        """Take the name under which an operator finds the keys, and the keys of 32 bytes; ValueError."""
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"{setting} must be keys of {KEY_BYTES} bytes")
        self._setting = setting
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self._active = key_id(keys[0])

    def seal(self, plain: bytes, *, context: bytes, older: OlderFormat | None = None) -> bytes:
        """Encrypt under the first key; the result is SEAL_OVERHEAD bytes longer and opens in this context.

        Given an older format it is written in that one: processes of an earlier release, which know no other,
        run beside this one during an upgrade.
        """
        header = FORMAT + self._active if older is None else older.header
        associated_data = joined(header, context) if older is None else older.associated_data
        nonce = os.urandom(_NONCE_BYTES)
        sealed = bytearray(header + nonce) + bytes(len(plain) + _TAG_BYTES)
        begin = len(header) + _NONCE_BYTES
        # Written in place: a photo is sealed without another copy of it.
        self._ciphers[self._active].encrypt_into(nonce, plain, associated_data, memoryview(sealed)[begin:])
        return bytes(sealed)

    def open(self, sealed: bytes, *, context: bytes, older: OlderFormat | None = None) -> bytes:
        """Decrypt what was sealed in this context, or before in that older format.

        Raises `UnknownKey` when another key has sealed it, and `SealBroken`.
        """
        header = bytes(sealed[:_HEADER_BYTES])
        cipher = self._ciphers.get(header[len(FORMAT) :]) if header.startswith(FORMAT) else None
        if cipher is not None:
            return _decrypt(cipher, memoryview(sealed)[_HEADER_BYTES:], joined(header, context))
        if older is not None and sealed.startswith(older.header):
            return self._open_older(sealed, older)
        if header.startswith(FORMAT) and len(sealed) >= SEAL_OVERHEAD:
            raise UnknownKey(f"{self._setting} does not hold the key {header[len(FORMAT) :].hex()}.")
        raise SealBroken("The sealed bytes have an unknown format.")

    def _open_older(self, sealed: bytes, older: OlderFormat) -> bytes:
        behind = memoryview(sealed)[len(older.header) :]
        for cipher in self._ciphers.values():
            try:
                return _decrypt(cipher, behind, older.associated_data)
            except SealBroken:
                # This format does not say which of the keys has sealed.
                continue
        raise SealBroken(
            f"The sealed bytes were changed, or {self._setting} does not hold their key."
        ) from None


def _decrypt(cipher: AESGCM, behind: memoryview, associated_data: bytes) -> bytes:
    try:
        return cipher.decrypt(behind[:_NONCE_BYTES], behind[_NONCE_BYTES:], associated_data)
    except (InvalidTag, ValueError):
        raise SealBroken("The sealed bytes were changed or are not what they are taken for.") from None


def key_id(key: bytes) -> bytes:
    """Return the public name of a key: 4 bytes that tell keys apart and say nothing of the key."""
    return derived_key(key, b"irisvue/key-id/1")[:_KEY_ID_BYTES]


def derived_key(key: bytes, purpose: bytes) -> bytes:
    """Return the key of one purpose (HKDF-SHA-256, RFC 5869): 32 bytes."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(key)


def joined(first: bytes, *rest: str | bytes) -> bytes:
    """Return parts as one context; each carries its length, so no two lists of parts give the same bytes."""
    parts = [first, *(part.encode() if isinstance(part, str) else part for part in rest)]
    return b"".join(len(part).to_bytes(4) + part for part in parts)

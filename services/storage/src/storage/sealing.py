"""Envelope encryption: a data key per person, a derived key per object, and keys that wrap the data keys.

Whoever holds the bucket alone, the keyring database alone or the key-encryption keys alone can read nothing.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

BIOMETRIC: Final = "biometric"
KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_MAGIC: Final = b"IVS"
_FORMAT_VERSION: Final = 1
_AES_256_GCM_HKDF_SHA256: Final = 1
_HEADER: Final = _MAGIC + bytes([_FORMAT_VERSION, _AES_256_GCM_HKDF_SHA256])
_WRAP_VERSION: Final = b"\x01"
SEAL_OVERHEAD: Final = len(_HEADER) + _NONCE_BYTES + _TAG_BYTES


class SealingError(Exception):
    """Something about keys or sealed bytes is not right; messages never carry key or picture bytes."""


class InvalidKeyring(SealingError):
    """The configured key-encryption keys can't be used."""


class UnknownKeyEncryptionKey(SealingError):
    """A data key was wrapped with a key-encryption key that this keyring does not hold."""


class UnwrapFailed(SealingError):
    """A wrapped data key was changed, or belongs to somebody else."""


class SealBroken(SealingError):
    """Sealed bytes were changed, cut, swapped, or are not in a known format."""


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A person's data key as it may be stored: encrypted under the key-encryption key `key_id`."""

    key_id: str
    blob: bytes


class KeyEncryption(Protocol):
    """What wraps data keys: local keys in development, a key management service in production."""

    async def wrap(self, data_key: bytes, *, owner: UUID) -> WrappedKey:
        """Encrypt a data key for its owner under the active key-encryption key."""
        ...

    async def unwrap(self, wrapped: WrappedKey, *, owner: UUID) -> bytes:
        """Return the data key, or raise UnknownKeyEncryptionKey or UnwrapFailed."""
        ...


@dataclass(frozen=True, slots=True)
class ObjectLabel:
    """What a sealed object is; all four parts are bound to its bytes."""

    owner: UUID
    object_id: str
    version: int
    data_class: str = BIOMETRIC

    def key_info(self) -> bytes:
        """Tell derived keys apart: object, class and version (the owner is in the data key)."""
        return _joined(b"irisvue/object-key/1", self.object_id, self.data_class, str(self.version))

    def associated_data(self) -> bytes:
        """Bind the header, the owner, the object, the version and the class to the ciphertext."""
        return _joined(_HEADER, str(self.owner), self.object_id, str(self.version), self.data_class)


class LocalKeyring:
    """KeyEncryption with keys held in memory, for development and single-machine installations."""

    def __init__(self, active: str, keys: Mapping[str, bytes]) -> None:
        if active not in keys:
            raise InvalidKeyring(f"The active key-encryption key {active!r} is not among the keys.")
        if any(len(key) != KEY_BYTES for key in keys.values()):
            raise InvalidKeyring("Every key-encryption key must be 64 hexadecimal digits (256 bits).")
        self._active = active
        self._keys = dict(keys)

    @classmethod
    def parse(cls, text: str) -> "LocalKeyring":
        """Read `{"active": "k1", "keys": {"k1": "<64 hex>"}}`; errors never repeat the text."""
        try:
            document = json.loads(text)
            active = str(document["active"])
            keys = {str(name): bytes.fromhex(value) for name, value in document["keys"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InvalidKeyring(
                'Key-encryption keys must be JSON like {"active":"k1","keys":{"k1":"<64 hex digits>"}}.'
            ) from None
        return cls(active, keys)

    async def wrap(self, data_key: bytes, *, owner: UUID) -> WrappedKey:
        """Encrypt a data key under the active key."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._keys[self._active]).encrypt(nonce, data_key, _wrap_data(owner, self._active))
        return WrappedKey(self._active, _WRAP_VERSION + nonce + sealed)

    async def unwrap(self, wrapped: WrappedKey, *, owner: UUID) -> bytes:
        """Decrypt a data key under the key that it names."""
        key = self._keys.get(wrapped.key_id)
        if key is None:
            raise UnknownKeyEncryptionKey(
                f"The key-encryption key {wrapped.key_id!r} is missing; put it back into the keyring setting."
            )
        if wrapped.blob[:1] != _WRAP_VERSION:
            raise UnwrapFailed("The wrapped data key has an unknown format.")
        nonce, sealed = wrapped.blob[1 : 1 + _NONCE_BYTES], wrapped.blob[1 + _NONCE_BYTES :]
        try:
            return AESGCM(key).decrypt(nonce, sealed, _wrap_data(owner, wrapped.key_id))
        except (InvalidTag, ValueError):
            raise UnwrapFailed("The wrapped data key was changed or belongs to somebody else.") from None


def new_data_key() -> bytes:
    """Return 256 fresh random bits."""
    return os.urandom(KEY_BYTES)


def seal(plain: bytes, *, data_key: bytes, label: ObjectLabel) -> bytes:
    """Encrypt one object; the result is SEAL_OVERHEAD bytes longer than the input."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_object_key(data_key, label)).encrypt(nonce, plain, label.associated_data())
    return _HEADER + nonce + sealed


def unseal(sealed: bytes, *, data_key: bytes, label: ObjectLabel) -> bytes:
    """Decrypt one object; anything but the bytes sealed under this label raises SealBroken."""
    if len(sealed) < SEAL_OVERHEAD or not sealed.startswith(_HEADER):
        raise SealBroken("The sealed object has an unknown format.")
    view = memoryview(sealed)[len(_HEADER) :]
    try:
        return AESGCM(_object_key(data_key, label)).decrypt(
            view[:_NONCE_BYTES], view[_NONCE_BYTES:], label.associated_data()
        )
    except InvalidTag:
        raise SealBroken("The sealed object was changed or is not what its label says.") from None


def _object_key(data_key: bytes, label: ObjectLabel) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label.key_info()).derive(data_key)


def _wrap_data(owner: UUID, key_id: str) -> bytes:
    return _joined(b"irisvue/data-key/1", str(owner), key_id)


def _joined(first: bytes, *rest: str) -> bytes:
    # Each part carries its length, so that no two different lists of parts give the same bytes.
    parts = [first, *(part.encode() for part in rest)]
    return b"".join(len(part).to_bytes(4) + part for part in parts)

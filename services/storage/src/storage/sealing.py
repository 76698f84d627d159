"""Envelope encryption: a data key per person, a derived key per object, and keys that wrap the data keys.

Whoever holds the bucket alone, the keyring database alone or the key-encryption keys alone can read nothing.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from chassis.sealing import KEY_BYTES, OlderFormat, SealBroken, SealingError, SealingKeys, derived_key, joined

BIOMETRIC: Final = "biometric"
_FIRST_FORMAT: Final = b"IVS\x01\x01"


class InvalidKeyEncryptionKeys(SealingError):
    """The configured key-encryption keys can't be used."""


class UnknownKeyEncryptionKey(SealingError):
    """A data key was wrapped with a key-encryption key that is not here."""


class UnwrapFailed(SealingError):
    """A wrapped data key was changed, or belongs to somebody else."""


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
        return joined(b"irisvue/object-key/1", self.object_id, self.data_class, str(self.version))

    def associated_data(self) -> bytes:
        """Bind the owner, the object, the version and the class to the ciphertext."""
        return self._bound(b"irisvue/object/2")

    def first_format(self) -> OlderFormat:
        """Return how an object of this label was sealed before keys were named."""
        return OlderFormat(self._bound(_FIRST_FORMAT), header=_FIRST_FORMAT)

    def _bound(self, kind: bytes) -> bytes:
        return joined(kind, str(self.owner), self.object_id, str(self.version), self.data_class)


class LocalKeyEncryption:
    """KeyEncryption with keys held in memory, for development and single-machine installations."""

    def __init__(self, active: str, keys: Mapping[str, bytes]) -> None:
        if active not in keys:
            raise InvalidKeyEncryptionKeys(f"The active key-encryption key {active!r} is not among the keys.")
        if any(len(key) != KEY_BYTES for key in keys.values()):
            raise InvalidKeyEncryptionKeys(
                "Every key-encryption key must be 64 hexadecimal digits (256 bits)."
            )
        self._active = active
        self._keys = {name: SealingKeys(name, [key]) for name, key in keys.items()}

    @classmethod
    def parse(cls, text: str) -> "LocalKeyEncryption":
        """Read `{"active": "k1", "keys": {"k1": "<64 hex>"}}`; errors never repeat the text."""
        return cls(*parse_key_encryption_keys(text))

    async def wrap(self, data_key: bytes, *, owner: UUID) -> WrappedKey:
        """Encrypt a data key under the active key."""
        context = _wrap_context(owner, self._active)
        blob = self._keys[self._active].seal(data_key, context=context, older=OlderFormat(context))
        return WrappedKey(self._active, blob)

    async def unwrap(self, wrapped: WrappedKey, *, owner: UUID) -> bytes:
        """Decrypt a data key under the key that it names."""
        keys = self._keys.get(wrapped.key_id)
        if keys is None:
            raise UnknownKeyEncryptionKey(
                f"The key-encryption key {wrapped.key_id!r} is missing;"
                " put it back into STORAGE_KEY_ENCRYPTION_KEYS."
            )
        context = _wrap_context(owner, wrapped.key_id)
        try:
            return keys.open(wrapped.blob, context=context, older=OlderFormat(context))
        except SealBroken as error:
            raise UnwrapFailed(f"The wrapped data key does not open: {error}") from None


def parse_key_encryption_keys(text: str) -> tuple[str, dict[str, bytes]]:
    """Return the name of the active key, and all keys; raises `InvalidKeyEncryptionKeys`."""
    try:
        document = json.loads(text)
        keys = {str(name): bytes.fromhex(value) for name, value in document["keys"].items()}
        return str(document["active"]), keys
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidKeyEncryptionKeys(
            'Key-encryption keys must be JSON like {"active":"k1","keys":{"k1":"<64 hex digits>"}}.'
        ) from None


def new_data_key() -> bytes:
    """Return 256 fresh random bits."""
    return os.urandom(KEY_BYTES)


def seal(plain: bytes, *, data_key: bytes, label: ObjectLabel) -> bytes:
    """Encrypt one object; the result is SEAL_OVERHEAD bytes longer than the input, in every format."""
    keys = _object_keys(data_key, label)
    return keys.seal(plain, context=label.associated_data(), older=label.first_format())


def unseal(sealed: bytes, *, data_key: bytes, label: ObjectLabel) -> bytes:
    """Decrypt one object; anything but the bytes sealed under this label raises SealBroken."""
    keys = _object_keys(data_key, label)
    return keys.open(sealed, context=label.associated_data(), older=label.first_format())


def _object_keys(data_key: bytes, label: ObjectLabel) -> SealingKeys:
    return SealingKeys("the person's data key", [derived_key(data_key, label.key_info())])


def _wrap_context(owner: UUID, key_id: str) -> bytes:
    return joined(b"irisvue/data-key/1", str(owner), key_id)

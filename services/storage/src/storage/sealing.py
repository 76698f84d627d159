"""Envelope encryption: a data key per person, a derived key per object, and keys that wrap the data keys.

Whoever holds the bucket alone, the keyring database alone or the key-encryption keys alone can read nothing.
"""

import os
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from chassis.faults import TransientFault
from chassis.sealing import KEY_BYTES, OlderFormat, SealingError, SealingKeys, derived_key, joined

BIOMETRIC: Final = "biometric"
_FIRST_FORMAT: Final = b"IVS\x01\x01"


class InvalidKeyEncryptionKeys(SealingError):
    """The configured key-encryption keys can't be used."""


class KeyUnusable(SealingError):
    """A data key can't be wrapped or unwrapped, however often one tries; whoever runs this has to mend it."""


class UnknownKeyEncryptionKey(KeyUnusable):
    """A data key was wrapped with a key-encryption key that is not here."""


class UnwrapFailed(KeyUnusable):
    """A wrapped data key was changed, or belongs to somebody else."""


class OwnerUnknown(KeyUnusable):
    """An earlier release has wrapped the data key, and it opens only together with its owner's id."""


class KeyServiceRefused(KeyUnusable):
    """The key service understood the call and said no: rights, a disabled key or configuration."""


class KeyServiceUnavailable(TransientFault):
    """The key service can't be reached, is too slow or is overloaded: the same call may work later."""


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A person's data key as it may be stored: encrypted under the key-encryption key `key_id`."""

    key_id: str
    blob: bytes


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whose data key it is: a keyed hash, which a key service and its log may see, and the id if it is known.

    The keyring knows the hash alone, and so a key can be wrapped anew without knowing whose it is. Only what
    an earlier release has wrapped needs the id.
    """

    pseudonym: str
    user_id: UUID | None = None


class KeyEncryption(Protocol):
    """What wraps data keys: local keys in development, a key management service in production."""

    async def wrap(self, data_key: bytes, *, owner: KeyOwner) -> WrappedKey:
        """Encrypt a data key for its owner under the active key-encryption key.

        Raises `KeyServiceUnavailable` and `KeyUnusable`.
        """
        ...

    async def unwrap(self, wrapped: WrappedKey, *, owner: KeyOwner) -> bytes:
        """Return the data key; raises `KeyServiceUnavailable` and `KeyUnusable`."""
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

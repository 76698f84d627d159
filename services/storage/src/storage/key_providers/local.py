"""Key-encryption keys in a file of settings: for development and for installations on one machine."""

import json
from collections.abc import Mapping
from typing import Final

from chassis.sealing import KEY_BYTES, OlderFormat, SealBroken, SealingKeys, joined
from storage.sealing import (
    InvalidKeyEncryptionKeys,
    KeyOwner,
    OwnerUnknown,
    UnknownKeyEncryptionKey,
    UnwrapFailed,
    WrappedKey,
)

_OLDER_HEADER: Final = b"\x01"
_RESERVED: Final = ":"


class LocalKeyEncryption:
    """KeyEncryption with keys held in memory: AES-256-GCM, bound to the key's name and to its owner."""

    def __init__(self, active: str, keys: Mapping[str, bytes]) -> None:
        if active not in keys:
            raise InvalidKeyEncryptionKeys(f"The active key-encryption key {active!r} is not among the keys.")
        if any(len(key) != KEY_BYTES for key in keys.values()):
            raise InvalidKeyEncryptionKeys(
                "Every key-encryption key must be 64 hexadecimal digits (256 bits)."
            )
        if any(_RESERVED in name for name in keys):
            raise InvalidKeyEncryptionKeys(
                f"The name of a key-encryption key has no {_RESERVED!r}: those are of key services."
            )
        self._active = active
        self._keys = {name: SealingKeys(name, [key]) for name, key in keys.items()}

    @classmethod
    def parse(cls, text: str) -> "LocalKeyEncryption":
        """Read `{"active": "k1", "keys": {"k1": "<64 hex>"}}`; errors never repeat the text."""
        return cls(*parse_key_encryption_keys(text))

    async def wrap(self, data_key: bytes, *, owner: KeyOwner) -> WrappedKey:
        """Encrypt a data key under the active key."""
        blob = self._keys[self._active].seal(data_key, context=_context(owner, self._active))
        return WrappedKey(self._active, blob)

    async def unwrap(self, wrapped: WrappedKey, *, owner: KeyOwner) -> bytes:
        """Decrypt a data key under the key that it names."""
        keys = self._keys.get(wrapped.key_id)
        if keys is None:
            raise UnknownKeyEncryptionKey(
                f"The key-encryption key {wrapped.key_id!r} is missing;"
                " put it back into STORAGE_KEY_ENCRYPTION_KEYS."
            )
        older = _older(owner, wrapped.key_id)
        if older is None and wrapped.blob.startswith(_OLDER_HEADER):
            raise OwnerUnknown(
                "An earlier release has wrapped the data key for an id that is not known here."
            )
        try:
            return keys.open(wrapped.blob, context=_context(owner, wrapped.key_id), older=older)
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


def _context(owner: KeyOwner, key_id: str) -> bytes:
    return joined(b"irisvue/data-key/2", owner.pseudonym, key_id)


def _older(owner: KeyOwner, key_id: str) -> OlderFormat | None:
    if owner.user_id is None:
        return None
    return OlderFormat(joined(b"irisvue/data-key/1", str(owner.user_id), key_id), header=_OLDER_HEADER)

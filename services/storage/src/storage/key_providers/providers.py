"""The key provider that wraps, beside those whose wrapped keys still open."""

from collections.abc import Mapping, Sequence
from typing import Final

from contracts.key_providers import AWS_KMS, FILE, VAULT_TRANSIT
from storage.sealing import KeyEncryption, KeyOwner, UnknownKeyEncryptionKey, WrappedKey

SETTINGS: Final = {
    FILE: "STORAGE_KEY_ENCRYPTION_KEYS",
    AWS_KMS: "STORAGE_AWS_KMS_KEY",
    VAULT_TRANSIT: "STORAGE_VAULT_URL",
}
"""Without which setting a provider is not there."""


class KeyProviders:
    """KeyEncryption by several providers: one wraps, each unwraps what it has wrapped."""

    def __init__(self, active: str, providers: Mapping[str, KeyEncryption]) -> None:
        """Take the providers by name, and the name of the one that wraps, which is among them."""
        self._active = active
        self._providers = dict(providers)

    @property
    def names(self) -> Sequence[str]:
        """Which providers there are; the first one wraps."""
        return [self._active, *sorted(self._providers.keys() - {self._active})]

    async def wrap(self, data_key: bytes, *, owner: KeyOwner) -> WrappedKey:
        """Encrypt a data key with the active provider."""
        return await self._providers[self._active].wrap(data_key, owner=owner)

    async def unwrap(self, wrapped: WrappedKey, *, owner: KeyOwner) -> bytes:
        """Decrypt a data key with the provider that its key names."""
        name = provider_of(wrapped.key_id)
        provider = self._providers.get(name)
        if provider is None:
            raise UnknownKeyEncryptionKey(
                f"The key-encryption key {wrapped.key_id!r} needs {SETTINGS[name]}, which is not set."
            )
        return await provider.unwrap(wrapped, owner=owner)


def provider_of(key_id: str) -> str:
    """Return which provider a key-encryption key is of; names without a prefix are those of the file."""
    name, colon, _ = key_id.partition(":")
    return name if colon and name in SETTINGS else FILE

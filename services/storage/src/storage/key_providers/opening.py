"""Opens the key providers that the settings name."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from pydantic import SecretStr

from contracts.key_providers import AWS_KMS, FILE, VAULT_TRANSIT
from storage.key_providers.local import LocalKeyEncryption
from storage.key_providers.providers import KeyProviders
from storage.sealing import KeyEncryption
from storage.settings import StorageSettings


@asynccontextmanager
async def open_key_providers(settings: StorageSettings) -> AsyncIterator[KeyProviders]:
    """Open every provider that is configured; none of them connects yet."""
    providers: dict[str, KeyEncryption] = {}
    async with AsyncExitStack() as stack:
        if settings.key_encryption_keys is not None:
            providers[FILE] = LocalKeyEncryption.parse(settings.key_encryption_keys.get_secret_value())
        if settings.aws_kms_key is not None:
            providers[AWS_KMS] = await _kms(settings, settings.aws_kms_key, stack)
        if settings.vault_url is not None:
            providers[VAULT_TRANSIT] = await _vault(settings, settings.vault_url, stack)
        yield KeyProviders(settings.key_provider, providers)


async def _kms(settings: StorageSettings, key: str, stack: AsyncExitStack) -> KeyEncryption:
    # Who wraps with keys of a file loads no client of a key service.
    from storage.key_providers.aws_kms import KmsSettings, open_kms  # noqa: PLC0415

    opened = open_kms(
        KmsSettings(
            key=key,
            region=settings.aws_kms_region,
            seconds=settings.key_service_seconds,
            endpoint_url=settings.aws_kms_endpoint_url,
            access_key=_secret(settings.aws_kms_access_key),
            secret_key=_secret(settings.aws_kms_secret_key),
        )
    )
    return await stack.enter_async_context(opened)


async def _vault(settings: StorageSettings, url: str, stack: AsyncExitStack) -> KeyEncryption:
    from storage.key_providers.vault_transit import VaultSettings, open_vault  # noqa: PLC0415 - as above

    opened = open_vault(
        VaultSettings(
            url=url,
            mount=settings.vault_mount,
            key=settings.vault_key,
            seconds=settings.key_service_seconds,
            token=_secret(settings.vault_token),
        )
    )
    return await stack.enter_async_context(opened)


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()

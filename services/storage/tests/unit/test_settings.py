"""Settings: a missing or weak secret refuses the start, and no error repeats one."""

import json
import secrets
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from storage.settings import StorageSettings


def complete() -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "service_key": pem.replace("\n", "\\n"),
        "service_public_keys": "{}",
        "database_url": "postgresql+asyncpg://a:b@localhost/c",
        "keyring_database_url": "postgresql+asyncpg://a:b@localhost/d",
        "broker_url": "amqp://a:b@localhost/e",
        "tombstone_key": secrets.token_hex(32),
        "journal_endpoint_url": "http://127.0.0.1:1",
        "journal_access_key": secrets.token_hex(10),
        "journal_secret_key": secrets.token_hex(24),
        "link_key": secrets.token_hex(32),
        "key_encryption_keys": json.dumps({"active": "k1", "keys": {"k1": secrets.token_hex(32)}}),
        "s3_endpoint_url": "http://localhost",
        "s3_access_key": "access",
        "s3_secret_key": "secret",
    }


def test_a_complete_configuration_is_accepted() -> None:
    settings = StorageSettings(**complete())
    assert (settings.port, settings.worker_port) == (18103, 18113)
    assert "secret" not in repr(settings).replace("secret_key", "")


@pytest.mark.parametrize("name", sorted(complete()))
def test_nothing_secret_has_a_default(name: str) -> None:
    values = complete()
    del values[name]
    with pytest.raises(ValidationError, match=name):
        StorageSettings(**values)


@pytest.mark.parametrize("name", ["tombstone_key", "link_key"])
@pytest.mark.parametrize(
    "weak", ["", "canary", "ab" * 32, "0" * 64, pytest.param(secrets.token_hex(16), id="short")]
)
def test_a_weak_key_is_refused(name: str, weak: str) -> None:
    with pytest.raises(ValidationError, match=name) as refusal:
        StorageSettings(**complete() | {name: weak})
    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize(
    "keyring",
    [
        "canary",
        '{"active":"k1","keys":{}}',
        '{"active":"k1","keys":{"k1":"canary"}}',
        json.dumps({"active": "k1", "keys": {"k1": "ab" * 32}}),
        pytest.param(
            json.dumps({"active": "k1", "keys": {"k1": secrets.token_hex(32), "k2": "00" * 32}}),
            id="one weak key beside a strong one",
        ),
    ],
)
def test_a_weak_keyring_is_refused(keyring: str) -> None:
    with pytest.raises(ValidationError, match="key_encryption_keys") as refusal:
        StorageSettings(**complete() | {"key_encryption_keys": keyring})
    assert "canary" not in str(refusal.value)


def test_production_needs_an_encrypted_public_address() -> None:
    with pytest.raises(ValidationError, match="https"):
        StorageSettings(**complete() | {"environment": "production"})


@pytest.mark.parametrize(
    "numbers",
    [
        {"sandbox_processes": 3},
        {"memory_bytes": 1 << 30},
        {"api_memory_bytes": 3 << 30},
        {"sandbox_memory_bytes": 2 << 30},
        {"sandbox_memory_bytes": 256 << 20},
        {"pixel_limit": 200_000_000},
        {"upload_limit_bytes": 400_000_000},
    ],
)
def test_limits_of_memory_that_do_not_add_up_are_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match=r"MEMORY_BYTES"):
        StorageSettings(**complete() | numbers)


def test_the_provider_that_wraps_is_configured() -> None:
    values = complete()
    del values["key_encryption_keys"]
    for provider, needed in (("aws-kms", "aws_kms_key"), ("vault-transit", "vault_url")):
        with pytest.raises(ValidationError, match=needed):
            StorageSettings(**values, key_provider=provider)
    kms = StorageSettings(**values, key_provider="aws-kms", aws_kms_key="alias/irisvue")
    assert kms.key_encryption_keys is None


@pytest.mark.parametrize("name", ["vault_url", "aws_kms_endpoint_url"])
def test_data_keys_travel_to_a_key_service_encrypted_in_production(name: str) -> None:
    def complaints(address: str) -> str:
        with pytest.raises(ValidationError) as refusal:
            StorageSettings(**complete() | {"environment": "production", name: address})
        return str(refusal.value)

    assert name in complaints("http://vault.example")
    for address in ("http://127.0.0.1:8200", "https://vault.example"):
        assert name not in complaints(address)

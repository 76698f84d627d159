"""Consent's settings, prefix CONSENT_."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, FilePath
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from chassis.settings import (
    DatabaseUrl,
    HexKeys,
    Password,
    PemKey,
    PublicKeys,
    StatefulSettings,
    all_key_bytes,
)
from consent.transparency.note import COSIGNATURE, Verifier

LOG_PATH = "/api/v1/privacy/ledger"


def _none_when_empty(value: Any) -> Any:
    # Compose hands an unset variable on as an empty one.
    return None if value == "" else value


def _read_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else {}
    except ValueError:
        raise ValueError("this is no JSON") from None


def _key_of_a_witness(vkey: str) -> str:
    if Verifier.parse(vkey).kind != COSIGNATURE:
        raise ValueError("is no verifier key of a witness, whose kind of signature is 4")
    return vkey


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("is no address of a witness")
    return url.rstrip("/")


class WitnessAddress(BaseModel):
    """Where a witness answers (its submission prefix), and the key with which it cosigns, as a vkey."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_address)]
    key: Annotated[str, AfterValidator(_key_of_a_witness)]

    @property
    def verifier(self) -> Verifier:
        """The key, read."""
        return Verifier.parse(self.key)


Witnesses = Annotated[tuple[WitnessAddress, ...], NoDecode, BeforeValidator(_read_json)]


class LogSettings(BaseSettings):
    """All that verifying the log needs to know from outside; any role that may read the schema will do."""

    model_config = SettingsConfigDict(env_prefix="CONSENT_", extra="ignore", hide_input_in_errors=True)

    database_url: DatabaseUrl = Field(description="PostgreSQL, as a role that may read the schema.")


class ArchiveSettings(BaseSettings):
    """All that reading the checkpoints in the object store needs to know from outside."""

    model_config = SettingsConfigDict(env_prefix="CONSENT_", extra="ignore", hide_input_in_errors=True)

    s3_endpoint_url: str = Field(description="The object store.")
    s3_access_key: Password = Field(description="S3 identity that reads and adds checkpoints.")
    s3_secret_key: Password = Field(description="Its secret.")
    s3_bucket: str = Field(
        default="irisvue-ledger", description="Where checkpoints lie; the bucket keeps every version."
    )
    s3_region: str = Field(default="us-east-1", description="The region of that bucket.")


class ConsentSettings(ArchiveSettings, StatefulSettings):
    """What consent needs beside what every service needs."""

    model_config = SettingsConfigDict(
        env_prefix="CONSENT_", extra="ignore", hide_input_in_errors=True, frozen=True
    )

    port: int = Field(default=18102, description="Port of the API.")
    worker_port: int = Field(default=18112, description="Port on which the worker tells its health.")

    signing_key: PemKey = Field(
        description="EC P-256 private key that signs receipts, and checkpoints of the log as JSON."
    )
    retired_signing_keys: PublicKeys = Field(
        default={},
        description="Public JWK of each earlier SIGNING_KEY, by any name, as JSON: it stays published.",
    )
    log_keys: HexKeys = Field(
        description="Ed25519 keys of the transparency log, separated by commas: the first signs checkpoints, "
        "the others have signed earlier ones and stay published."
    )
    log_origin: str = Field(
        default="",
        pattern=r"^[^\s+]*$",
        description="Name of the transparency log for ever; empty: where PUBLIC_URL serves it.",
    )
    seal_seconds: float = Field(
        default=0.5, gt=0, le=1, description="How often the worker brings new entries into the log."
    )
    witnesses: Witnesses = Field(
        default=(),
        description='Who cosigns checkpoints, as JSON: [{"url": "https://…", "key": "name+id+key"}].',
    )
    witness_seconds: float = Field(
        default=2.0, gt=0, description="How often a witness is asked to cosign the newest checkpoint."
    )

    identity_url: str = Field(description="Where identity answers: signing keys and open erasures.")
    storage_url: str = Field(
        default="http://127.0.0.1:18103", description="Where storage takes sections of data exports."
    )
    geoip_db_path: Annotated[FilePath | None, BeforeValidator(_none_when_empty)] = Field(
        default=None,
        description="A MaxMind-format database of countries or cities; without it no IP is located.",
    )
    changes_per_hour: int = Field(
        default=20,
        ge=2,
        description="How often a person may change a consent within an hour; withdrawing is always possible.",
    )
    expiry_seconds: float = Field(
        default=60, gt=0, description="How often the worker looks for consents that have lapsed."
    )
    controller_name: str = Field(
        default="", description="Who answers for the data, as receipts name them; empty: as the texts do."
    )
    controller_contact: str = Field(
        default="", description="How to reach them, as receipts say it; empty: as the texts do."
    )
    regulator_filings: Annotated[dict[str, date], NoDecode, BeforeValidator(_read_json)] = Field(
        default={},
        description="When which regulator was told of the biometric system, as JSON: jurisdiction to day,"
        ' such as {"ca_qc": "2026-10-01"}. Where the law asks for it, nothing begins before.',
    )
    retention_seconds: float = Field(
        default=3600, gt=0, description="How often the worker looks for people who were away for too long."
    )
    proved_address_for_biometrics: bool = Field(
        default=False, description="Whether consent to biometric capture needs a confirmed e-mail address."
    )

    @property
    def origin(self) -> str:
        """The name of the log: what checkpoints begin with, and their key is called."""
        return self.log_origin or self.public_url.partition("://")[2].rstrip("/") + LOG_PATH

    @property
    def log_seeds(self) -> Sequence[bytes]:
        """The Ed25519 keys of the log, 32 bytes each; the first signs."""
        return all_key_bytes(self.log_keys)

    @property
    def private_signing_key(self) -> EllipticCurvePrivateKey:
        """The key that `signing_key` spells."""
        key = load_pem_private_key(self.signing_key.get_secret_value().encode(), password=None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise TypeError("CONSENT_SIGNING_KEY must be an EC P-256 key; `make env` generates one")
        return key

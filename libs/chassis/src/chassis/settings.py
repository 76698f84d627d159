"""Settings that every service has; a missing or weak secret refuses the start."""

import json
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt import PyJWK, PyJWTError
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MINIMUM_PASSWORD_LENGTH = 16
MINIMUM_DISTINCT_HEX_DIGITS = 8


def _check_hex_key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        raise ValueError("must be 64 hexadecimal digits; `make env` generates one") from None
    if len(key) != 32:  # noqa: PLR2004 - 256 bits, as the message says
        raise ValueError("must be 64 hexadecimal digits; `make env` generates one")
    if len(set(text.lower())) < MINIMUM_DISTINCT_HEX_DIGITS:
        raise ValueError("is too regular to be random; `make env` generates one")
    return value


def _unfold_pem(value: Any) -> Any:
    # Environment files hold one line per variable, so a PEM's line breaks arrive as "\n" in letters.
    return value.replace("\\n", "\n") if isinstance(value, str) else value


def _parse_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _check_signing_key(value: SecretStr) -> SecretStr:
    if not _is_p256(value.get_secret_value()):
        raise ValueError("must be the PEM of an EC P-256 private key; `make env` generates one")
    return value


def _is_p256(pem: str) -> bool:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)


def _check_public_keys(value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    for service, jwk in value.items():
        try:
            PyJWK(jwk, algorithm="ES256")
        except PyJWTError:
            raise ValueError(f"the key of {service} is no public EC P-256 JWK") from None
        if "d" in jwk:
            raise ValueError(f"the key of {service} is a private one; only its public half belongs here")
    return value


def _check_password(value: SecretStr, info: ValidationInfo) -> SecretStr:
    password = urlsplit(value.get_secret_value()).password or ""
    if info.data.get("environment") == "production" and len(password) < MINIMUM_PASSWORD_LENGTH:
        raise ValueError(
            f"needs a password of at least {MINIMUM_PASSWORD_LENGTH} characters in production; "
            "`make env` generates one"
        )
    return value


HexKey = Annotated[SecretStr, AfterValidator(_check_hex_key)]
PemKey = Annotated[SecretStr, BeforeValidator(_unfold_pem), AfterValidator(_check_signing_key)]
ServerUrl = Annotated[SecretStr, AfterValidator(_check_password)]
JsonObject = Annotated[dict[str, dict[str, Any]], NoDecode, BeforeValidator(_parse_json)]
PublicKeys = Annotated[JsonObject, AfterValidator(_check_public_keys)]


def key_bytes(key: SecretStr) -> bytes:
    """Return the 32 bytes of a `HexKey`."""
    return bytes.fromhex(key.get_secret_value())


class ServiceSettings(BaseSettings):
    """What every service needs to know; a service subclasses it with its own prefix."""

    model_config = SettingsConfigDict(
        # Compose hands an unset variable on as an empty one.
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
        frozen=True,
    )

    environment: Literal["development", "production"] = Field(
        default="development", description="In production weak secrets and plain HTTP are refused."
    )
    host: str = Field(default="127.0.0.1", description="Address on which the API listens.")
    port: int = Field(description="Port of the API.")
    public_url: str = Field(
        default="http://localhost:8000", description="How the app reaches the gateway; issuer of tokens."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least important lines that the log keeps."
    )
    version: str = Field(
        default="0.1.0", description="What health and the API's description call this release."
    )

    service_key: PemKey = Field(description="EC P-256 private key that signs calls to other services.")
    service_public_keys: PublicKeys = Field(description="Public JWK of each service, by service name.")

    access_token_audience: str = Field(default="irisvue-api", description="The `aud` of access tokens.")

    @property
    def access_token_issuer(self) -> str:
        """The `iss` of access tokens: the public address of the platform."""
        return self.public_url

    @field_validator("public_url")
    @classmethod
    def _public_url_is_safe(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("environment") == "production" and not value.startswith("https://"):
            raise ValueError("must begin with https:// in production")
        return value


class StatefulSettings(ServiceSettings):
    """Settings of a service that has a schema, a worker and participates in erasure."""

    worker_port: int = Field(description="Port on which the worker tells its health.")
    database_url: ServerUrl = Field(description="PostgreSQL, as the role that reads and writes rows.")
    owner_database_url: ServerUrl | None = Field(default=None, description="Only migrations use it.")
    broker_url: ServerUrl = Field(description="RabbitMQ, with the service's own user.")
    tombstone_key: HexKey = Field(description="Keys the hashes that remember erased people.")
    database_pool_size: int = Field(default=10, description="Connections to PostgreSQL kept, per process.")
    database_pool_overflow: int = Field(
        default=5, description="Connections beyond those, while they are needed."
    )
    reconcile_seconds: float = Field(
        default=300.0, description="Pause between comparisons with identity's list of erasures."
    )

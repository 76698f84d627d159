"""Settings that every service has; a missing or weak secret refuses the start."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

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


HexKey = Annotated[SecretStr, AfterValidator(_check_hex_key)]
PemKey = Annotated[SecretStr, BeforeValidator(_unfold_pem)]
JsonObject = Annotated[dict[str, dict[str, Any]], BeforeValidator(_parse_json)]


def key_bytes(key: SecretStr) -> bytes:
    """Return the 32 bytes of a `HexKey`."""
    return bytes.fromhex(key.get_secret_value())


class ServiceSettings(BaseSettings):
    """What every service needs to know; a service subclasses it with its own prefix."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, frozen=True)

    environment: Literal["development", "production"] = "development"
    host: str = "127.0.0.1"
    port: int
    public_url: str = "http://localhost:8000"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    version: str = "0.1.0"

    service_key: PemKey = Field(description="EC P-256 private key that signs calls to other services.")
    service_public_keys: JsonObject = Field(description="Public JWK of each service, by service name.")

    access_token_audience: str = "irisvue-api"  # noqa: S105 - a name

    @property
    def access_token_issuer(self) -> str:
        """The `iss` of access tokens: the public address of the platform."""
        return self.public_url

    @model_validator(mode="after")
    def _public_url_is_safe(self) -> Self:
        if self.environment == "production" and not self.public_url.startswith("https://"):
            raise ValueError("public_url must begin with https:// in production")
        return self


class StatefulSettings(ServiceSettings):
    """Settings of a service that has a schema, a worker and participates in erasure."""

    worker_port: int
    database_url: SecretStr
    owner_database_url: SecretStr | None = Field(default=None, description="Only migrations use it.")
    broker_url: SecretStr
    tombstone_key: HexKey = Field(description="Keys the hashes that remember erased people.")
    database_pool_size: int = 10
    database_pool_overflow: int = 5
    reconcile_seconds: float = 300.0

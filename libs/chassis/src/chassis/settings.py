"""Settings that every service has; a missing or weak secret refuses the start."""

import json
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from chassis.database_url import read_database_url
from chassis.secret_checks import (
    check_hex_key,
    check_hex_keys,
    check_own_public_key,
    check_password,
    check_public_keys,
    check_server_url,
    check_signing_key,
    in_production,
    shared_secrets,
)


def _unfold_pem(value: Any) -> Any:
    # Environment files hold one line per variable, so a PEM's line breaks arrive as "\n" in letters.
    return value.replace("\\n", "\n") if isinstance(value, str) else value


def _parse_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _check_database_url(value: SecretStr) -> SecretStr:
    read_database_url(value)
    return value


HexKey = Annotated[SecretStr, AfterValidator(check_hex_key)]
HexKeys = Annotated[SecretStr, AfterValidator(check_hex_keys)]
"""Several keys, separated by commas: the first seals, the others only open what they have sealed."""
PemKey = Annotated[SecretStr, BeforeValidator(_unfold_pem), AfterValidator(check_signing_key)]
Password = Annotated[SecretStr, AfterValidator(check_password)]
ServerUrl = Annotated[SecretStr, AfterValidator(check_server_url)]
DatabaseUrl = Annotated[ServerUrl, AfterValidator(_check_database_url)]
JsonObject = Annotated[dict[str, dict[str, Any]], NoDecode, BeforeValidator(_parse_json)]
PublicKeys = Annotated[JsonObject, AfterValidator(check_public_keys)]


def key_bytes(key: SecretStr) -> bytes:
    """Return the 32 bytes of a `HexKey`."""
    return bytes.fromhex(key.get_secret_value())


def all_key_bytes(keys: SecretStr) -> list[bytes]:
    """Return the 32 bytes of each of `HexKeys`."""
    return [bytes.fromhex(key.strip()) for key in keys.get_secret_value().split(",")]


class ServiceSettings(BaseSettings):
    """What every service needs to know; a service subclasses it with its own prefix."""

    model_config = SettingsConfigDict(
        # Compose hands an unset variable on as an empty one.
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
        frozen=True,
    )

    second_ways: ClassVar[frozenset[str]] = frozenset({"database_direct_url"})
    """Settings that lead to the same account as another one, and so hold the same secret."""

    environment: Literal["development", "production"] = Field(
        default="development", description="In production weak secrets and plain HTTP are refused."
    )
    host: str = Field(default="127.0.0.1", description="Address on which the API listens.")
    port: int = Field(description="Port of the API.")
    public_url: str = Field(
        default="http://localhost:8000", description="How the app reaches the gateway; issuer of tokens."
    )
    stop_grace_seconds: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="How long an API that is told to stop goes on serving while it is not ready any more, so "
        "that load balancers go elsewhere first.",
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
        if in_production(info) and not value.startswith("https://"):
            raise ValueError("must begin with https:// in production")
        return value

    @field_validator("service_public_keys")
    @classmethod
    def _own_key_is_known(cls, value: PublicKeys, info: ValidationInfo) -> PublicKeys:
        if in_production(info) and "service_key" in info.data:
            check_own_public_key(cls._service_name(), info.data["service_key"], value)
        return value

    @model_validator(mode="after")
    def _each_secret_has_one_purpose(self) -> Self:
        secrets = {
            name: value
            for name, value in self
            if isinstance(value, SecretStr) and name not in self.second_ways
        }
        shared = shared_secrets(secrets) if self.environment == "production" else []
        if shared:
            prefix = str(self.model_config.get("env_prefix", ""))
            names = ", ".join(f"{prefix}{name}".upper() for name in shared)
            raise ValueError(f"{names}: the same secret serves two purposes; give each its own")
        return self

    @classmethod
    def _service_name(cls) -> str:
        return str(cls.model_config.get("env_prefix", "")).rstrip("_").lower()


class StatefulSettings(ServiceSettings):
    """Settings of a service that has a schema, a worker and participates in erasure."""

    worker_port: int = Field(description="Port on which the worker tells its health.")
    database_url: DatabaseUrl = Field(
        description="PostgreSQL, as the role that reads and writes rows; takes sslmode, sslrootcert and the "
        "like, and with prepared_statement_cache_size=0 leads through PgBouncer in transaction mode."
    )
    database_direct_url: DatabaseUrl | None = Field(
        default=None,
        description="The same role past PgBouncer, for wake-ups, where DATABASE_URL leads through it.",
    )
    owner_database_url: DatabaseUrl | None = Field(
        default=None, description="Only migrations use it; it leads past PgBouncer."
    )
    broker_url: ServerUrl = Field(
        description="RabbitMQ, with the service's own user. Several `host:port` stand beside each other with "
        "commas; amqps:// takes ?cafile=."
    )
    tombstone_key: HexKeys = Field(
        description="Keys the hashes that remember erased people. Several stand beside each other with "
        "commas: the first hashes from now on, the older ones behind it are never taken away."
    )
    journal_endpoint_url: str = Field(description="The object store that has the erasure journal.")
    journal_access_key: Password = Field(description="S3 identity that reads the journal and adds to it.")
    journal_secret_key: Password = Field(description="Its secret.")
    journal_bucket: str = Field(
        default="irisvue-journal", description="Where the erasure journal lies; it keeps every version."
    )
    journal_region: str = Field(default="us-east-1", description="The region of that bucket.")
    database_pool_size: int = Field(
        default=10,
        ge=1,
        description="Connections to PostgreSQL, per process; a worker has one more for its relay.",
    )
    unknown_event_seconds: float = Field(
        default=600.0,
        ge=0,
        description="How long an event of a type that this release does not know is put off, as during an "
        "upgrade, before it is a dead letter.",
    )
    reconcile_seconds: float = Field(
        default=300.0, description="Pause between comparisons with identity's list of erasures."
    )

    @model_validator(mode="after")
    def _wake_ups_have_a_session(self) -> Self:
        prefix = str(self.model_config.get("env_prefix", ""))
        direct = self.database_direct_url or self.database_url
        if read_database_url(direct).pooled:
            raise ValueError(f"{prefix}DATABASE_DIRECT_URL: wake-ups need a way past PgBouncer")
        return self

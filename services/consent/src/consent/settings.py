"""Settings of the consent service, read from variables that begin with CONSENT_."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import SettingsConfigDict

from chassis.settings import StatefulSettings


def _none_when_empty(value: Any) -> Any:
    # Compose hands an unset variable on as an empty one.
    return None if value == "" else value


class ConsentSettings(StatefulSettings):
    """What the consent service needs to know."""

    model_config = SettingsConfigDict(env_prefix="CONSENT_")

    port: int = 18102
    worker_port: int = 18112

    identity_url: str = Field(description="Where identity answers: signing keys and open erasures.")
    geoip_db_path: Annotated[Path | None, BeforeValidator(_none_when_empty)] = Field(
        default=None,
        description="A MaxMind-format database of countries or cities; without it no IP is located.",
    )

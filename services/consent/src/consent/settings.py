"""Consent's settings, prefix CONSENT_."""

import json
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, FilePath
from pydantic_settings import NoDecode, SettingsConfigDict

from chassis.settings import StatefulSettings


def _none_when_empty(value: Any) -> Any:
    # Compose hands an unset variable on as an empty one.
    return None if value == "" else value


def _read_filings(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else {}
    except ValueError:
        raise ValueError("this is no JSON") from None


class ConsentSettings(StatefulSettings):
    """What consent needs beside what every service needs."""

    model_config = SettingsConfigDict(
        env_prefix="CONSENT_", extra="ignore", hide_input_in_errors=True, frozen=True
    )

    port: int = Field(default=18102, description="Port of the API.")
    worker_port: int = Field(default=18112, description="Port on which the worker tells its health.")

    identity_url: str = Field(description="Where identity answers: signing keys and open erasures.")
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
    regulator_filings: Annotated[dict[str, date], NoDecode, BeforeValidator(_read_filings)] = Field(
        default={},
        description="When which regulator was told of the biometric system, as JSON: jurisdiction to day,"
        ' such as {"ca_qc": "2026-10-01"}. Where the law asks for it, nothing begins before.',
    )
    proved_address_for_biometrics: bool = Field(
        default=False, description="Whether consent to biometric capture needs a confirmed e-mail address."
    )

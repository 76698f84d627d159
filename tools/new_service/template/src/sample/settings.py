"""The settings of this service, prefix SAMPLE_."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chassis.settings import StatefulSettings


class SampleSettings(StatefulSettings):
    """What it needs beside what every service needs."""

    model_config = SettingsConfigDict(
        env_prefix="SAMPLE_", extra="ignore", hide_input_in_errors=True, frozen=True
    )

    identity_url: str = Field(description="Where identity answers: signing keys and open erasures.")
    storage_url: str = Field(description="Where storage takes sections of data exports.")

"""The journal's settings, prefix JOURNAL_."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chassis.settings import StatefulSettings


class JournalSettings(StatefulSettings):
    """What the journal needs beside what every service needs."""

    model_config = SettingsConfigDict(
        env_prefix="JOURNAL_", extra="ignore", hide_input_in_errors=True, frozen=True
    )

    identity_url: str = Field(description="Where identity answers: signing keys and open erasures.")

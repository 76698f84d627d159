"""Settings of the erasures that identity coordinates."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from chassis.secret_checks import in_production
from chassis.settings import StatefulSettings
from identity.erasure.policy import BackupTerms
from identity.erasure.processors import Processor, read_processors


def _read_addresses(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return dict(part.strip().split("=", 1) for part in value.split(",") if "=" in part)


def _check_addresses(addresses: dict[str, str]) -> dict[str, str]:
    if not all(url.startswith(("http://", "https://")) for url in addresses.values()):
        raise ValueError("must read like consent=http://consent-api:8000,storage=http://storage-api:8000")
    return addresses


Addresses = Annotated[
    dict[str, str], NoDecode, BeforeValidator(_read_addresses), AfterValidator(_check_addresses)
]


class ErasureSettings(StatefulSettings):
    """What is promised about erasures, and how participants are asked."""

    erasure_deadline_days: int = Field(
        default=10,
        ge=1,
        le=45,
        description="Days within which an erasure is promised while the person's laws are not known: the "
        "strictest term of all laws.",
    )
    erasure_fresh_minutes: int = Field(
        default=0,
        ge=0,
        le=1440,
        description="How recent a sign-in must be that lets one delete the account; 0: any session may.",
    )
    erasure_grace: int = Field(
        default=0,
        ge=0,
        le=336,
        description="Hours in which a mailed link cancels a deletion; pictures are destroyed at once anyway.",
    )
    reminder_seconds: float = Field(
        default=60.0, gt=0, description="Pause before a silent participant is asked again."
    )
    farewell_minutes: int = Field(
        default=15, ge=0, description="How long the erasure of an account waits for its last mail to leave."
    )
    participant_urls: Addresses = Field(
        default_factory=dict,
        description="Where each other participant answers what it holds: name=url, comma-separated.",
    )
    processors: Annotated[tuple[Processor, ...], NoDecode, BeforeValidator(read_processors)] = Field(
        default=(),
        description="Who else holds data of people for us and has to report each erasure, as JSON: "
        '[{"name": "mailhouse", "url": "https://mailhouse.example/erasures"}].',
    )
    backup_days: int = Field(
        default=30,
        ge=0,
        description="How long backups of databases and objects are kept; certificates of erasures say so.",
    )
    keyring_backup_days: int = Field(
        default=7, ge=0, description="How long backups of the keyring are kept; certificates say so."
    )

    @field_validator("processors")
    @classmethod
    def _are_reached_safely(
        cls, processors: tuple[Processor, ...], info: ValidationInfo
    ) -> tuple[Processor, ...]:
        if len({processor.name for processor in processors}) < len(processors):
            raise ValueError("names a processor twice")
        if in_production(info) and not all(one.url.startswith("https://") for one in processors):
            # Whose account it is travels in the request.
            raise ValueError("needs https:// in production")
        return processors

    @property
    def backup_terms(self) -> BackupTerms:
        """Until when backups can hold what was erased."""
        return BackupTerms(timedelta(days=self.backup_days), timedelta(days=self.keyring_backup_days))

"""Settings of the erasures that identity coordinates."""

from datetime import timedelta

from pydantic import Field

from chassis.settings import StatefulSettings
from identity.erasure.policy import BackupTerms


class ErasureSettings(StatefulSettings):
    """What is promised about erasures, and how participants are asked."""

    erasure_deadline_days: int = Field(
        default=30, ge=1, le=45, description="Until when an erasure is promised to be complete."
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
    backup_days: int = Field(
        default=30,
        ge=0,
        description="How long backups of databases and objects are kept; certificates of erasures say so.",
    )
    keyring_backup_days: int = Field(
        default=7, ge=0, description="How long backups of the keyring are kept; certificates say so."
    )

    @property
    def backup_terms(self) -> BackupTerms:
        """Until when backups can hold what was erased."""
        return BackupTerms(timedelta(days=self.backup_days), timedelta(days=self.keyring_backup_days))

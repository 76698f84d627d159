"""What the API gives; what it takes is in `requests`. Rows never leave the service."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from consent.policy import Consent, ConsentStatus
from consent.rulebook import Rulebook
from contracts.fields import ConsentType


class ConsentRead(BaseModel):
    """A consent and where it stands; `granted` is true only while it allows its purpose.

    A refusal has the same shape: `granted_at` is when the person said no, and it ends when it begins.
    """

    id: UUID
    user_id: UUID
    consent_type: ConsentType
    jurisdiction: str
    jurisdictions: list[str]
    granted: bool
    granted_at: datetime
    withdrawn_at: datetime | None
    expires_at: datetime
    consent_text_version: str
    status: ConsentStatus

    @classmethod
    def of(cls, consent: Consent, rulebook: Rulebook, now: datetime) -> Self:
        """Show `consent` as it stands at `now`."""
        status = consent.status(rulebook, now)
        return cls(
            id=consent.id,
            user_id=consent.user_id,
            consent_type=ConsentType(consent.consent_type),
            jurisdiction=consent.jurisdiction,
            jurisdictions=list(consent.jurisdictions),
            granted=status is ConsentStatus.LIVE,
            granted_at=consent.granted_at,
            withdrawn_at=consent.withdrawn_at,
            expires_at=consent.expires_at,
            consent_text_version=consent.consent_text_version,
            status=status,
        )


class ConsentList(BaseModel):
    """A page of a person's consents, newest first."""

    consents: list[ConsentRead]
    next: UUID | None = Field(description="Give it as `after` for the next page; null on the last one.")


class BiometricStatus(BaseModel):
    """Whether pictures may be taken now, and the consent that allows it."""

    has_consent: bool
    consent_record: ConsentRead | None


class ConsentStanding(BaseModel):
    """Where a consent stands."""

    granted: bool
    consent_id: UUID | None
    epoch: int = Field(description="Of the last grant, withdrawal or expiry; 0 when there was none.")
    withdrawn_epoch: int = Field(
        description="Of the last withdrawal or expiry; what rests on it or an earlier epoch is destroyed."
    )
    jurisdiction: str | None


class ConsentAnswer(ConsentStanding):
    """The authoritative answer to another service; it holds for the moment it was given in, no longer.

    A consent can stand and yet not be enough where the person is: then nothing new is taken, and what rests
    on it stays.
    """

    may_collect: bool = Field(description="Whether something new may be taken under it.")
    stricter_jurisdiction: str | None = Field(
        description="The regime whose text the person has to agree to before anything new is taken."
    )


class ConsentChange(ConsentStanding):
    """Where one consent stands, as the answer about it would say at this moment."""

    user_id: UUID
    consent_type: ConsentType


class ChangePage(BaseModel):
    """The consents that changed after a position, each once and as it stands now, in the order of changes."""

    position: int = Field(description="Give it as `after` for what changes from here on.")
    last_position: int = Field(
        description="The highest position so far; lower than `after` once consent was restored from a backup:"
        " then begin again at 0."
    )
    complete: bool = Field(description="Whether nothing more waits after this page.")
    changes: list[ConsentChange]


class Disclosure(BaseModel):
    """Whether pictures may be given to whom they show, in a copy of their data."""

    pictures: bool
    clause: str | None = Field(description="The clause that forbids it, where they may not.")

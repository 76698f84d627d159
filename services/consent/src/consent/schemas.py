"""What the API gives; what it takes is in `requests`. Rows never leave the service."""

from datetime import date, datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from consent.policy import Consent, ConsentStatus, Requirements, Resolution, Source, enforcement_of
from consent.rulebook import ConsentText, Regime, RetentionItem, Rulebook
from contracts.fields import ConsentType


class ConsentRead(BaseModel):
    """A consent and where it stands; `granted` is true only while it allows its purpose."""

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


class ConsentRequirements(BaseModel):
    """What has to be shown, asked for and kept to."""

    consent_text: str
    consent_text_version: str
    consent_text_digest: str = Field(description="SHA-256, in hex, of consent_text in UTF-8.")
    consent_text_locale: str
    requires_explicit_consent: bool
    explicit_consent: bool
    jurisdiction_name: str
    purpose_disclosure: bool
    retention_policy: bool
    right_to_withdraw: bool
    retention_days: int
    data_retention_days: int
    written_consent: bool
    retention_schedule: bool
    no_profit_from_data: bool
    notice_at_collection: bool
    opt_out_right: bool
    deletion_right: bool
    data_minimization: bool

    @classmethod
    def of(cls, needed: Requirements) -> "ConsentRequirements":
        """Show what the rules ask for."""
        return ConsentRequirements(
            consent_text=needed.text.text,
            consent_text_version=needed.text.version,
            consent_text_digest=needed.text.sha256,
            consent_text_locale=needed.text.locale,
            requires_explicit_consent=needed.duties.explicit_consent,
            jurisdiction_name=needed.name,
            retention_days=needed.retention_days,
            data_retention_days=needed.retention_days,
            **needed.duties.model_dump(),
        )


class JurisdictionRead(ConsentRequirements):
    """Where a person is, which laws hold there, and what they ask for (also at the top level)."""

    jurisdiction: str
    jurisdictions: list[str]
    detected_country: str | None
    detected_region: str | None
    source: Source
    consent_requirements: ConsentRequirements

    @classmethod
    def resolved(cls, resolution: Resolution, needed: Requirements) -> Self:
        """Show a resolution and its requirements."""
        shown = ConsentRequirements.of(needed)
        return cls(
            **shown.model_dump(),
            jurisdiction=resolution.primary,
            jurisdictions=list(resolution.jurisdictions),
            detected_country=resolution.place.country,
            detected_region=resolution.place.region,
            source=resolution.source,
            consent_requirements=shown,
        )


class ConsentTextRead(BaseModel):
    """One version of a text."""

    version: str
    locale: str
    digest: str = Field(description="SHA-256, in hex, of the text in UTF-8.")
    effective_from: date
    effective_to: date | None
    current: bool
    text: str

    @classmethod
    def of(cls, text: ConsentText, *, current: bool) -> Self:
        """Show one version."""
        return cls(
            version=text.version,
            locale=text.locale,
            digest=text.sha256,
            effective_from=text.effective_from,
            effective_to=text.effective_to,
            current=current,
            text=text.text,
        )


class ConsentTextsRead(BaseModel):
    """The current and the earlier texts of one purpose in one jurisdiction, newest first."""

    jurisdiction: str
    consent_type: ConsentType
    current_version: str
    texts: list[ConsentTextRead]

    @classmethod
    def of(cls, regime: Regime, consent_type: ConsentType, day: date) -> Self:
        """Show every version as of `day`."""
        current = regime.current_text(consent_type, day)
        return cls(
            jurisdiction=regime.code,
            consent_type=consent_type,
            current_version=current.version,
            texts=[
                ConsentTextRead.of(text, current=text is current)
                for text in regime.texts_of(consent_type)
                if text.effective_from <= day or text is current
            ],
        )


class RetentionRead(RetentionItem):
    """A row of the schedule, and whether this platform carries its period out by itself."""

    enforced: bool
    enforcement: str = Field(description="What is carried out today, and what is not.")

    @classmethod
    def of(cls, item: RetentionItem) -> Self:
        """Show one row."""
        enforced, enforcement = enforcement_of(item)
        return cls(**item.model_dump(), enforced=enforced, enforcement=enforcement)


class RetentionOfJurisdiction(BaseModel):
    """The retention and destruction schedule of one jurisdiction; each row says whether it is enforced."""

    jurisdiction: str
    jurisdiction_name: str
    ruleset_version: str
    ruleset_digest: str
    effective_from: date
    retention_days: int
    consent_valid_days: int
    consent_expiry_enforced: bool = Field(
        description="Whether a consent is closed, and what rested on it destroyed, when its days are over."
    )
    items: list[RetentionRead]

    @classmethod
    def of(cls, regime: Regime, day: date) -> Self:
        """Show the rules in force on `day`."""
        ruleset = regime.ruleset(day)
        return cls(
            jurisdiction=regime.code,
            jurisdiction_name=ruleset.name,
            ruleset_version=ruleset.version,
            ruleset_digest=ruleset.digest,
            effective_from=ruleset.effective_from,
            retention_days=ruleset.retention_days,
            consent_valid_days=ruleset.consent_valid_days,
            consent_expiry_enforced=True,
            items=[RetentionRead.of(item) for item in ruleset.retention_schedule],
        )


class RetentionSchedule(BaseModel):
    """The published schedule, one entry per jurisdiction."""

    jurisdictions: list[RetentionOfJurisdiction]


class ConsentAnswer(BaseModel):
    """The authoritative answer to another service; it holds for the moment it was given in, no longer."""

    granted: bool
    consent_id: UUID | None
    epoch: int = Field(description="Of the last grant, withdrawal or expiry; 0 when there was none.")
    withdrawn_epoch: int = Field(
        description="Of the last withdrawal or expiry; what rests on it or an earlier epoch is destroyed."
    )
    jurisdiction: str | None


class ConsentChange(ConsentAnswer):
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

"""What the API shows of the law: what holds, the texts, and how long things are kept."""

from datetime import date
from typing import Self

from pydantic import BaseModel, Field

from consent.jurisdictions import Requirements, Source
from consent.obligations import Obligation, ObligationKind
from consent.policy import enforcement_of
from consent.retention import Deadline, RetentionItem
from consent.rulebook import ConsentText, Regime
from consent.use_cases.resolve_jurisdiction import ResolvedJurisdiction
from contracts.fields import ConsentType


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
        has = needed.duties.has
        return ConsentRequirements(
            consent_text=needed.text.text,
            consent_text_version=needed.text.version,
            consent_text_digest=needed.text.sha256,
            consent_text_locale=needed.text.locale,
            requires_explicit_consent=has(ObligationKind.EXPLICIT_CONSENT),
            explicit_consent=has(ObligationKind.EXPLICIT_CONSENT),
            jurisdiction_name=needed.name,
            purpose_disclosure=has(ObligationKind.PURPOSE_DISCLOSURE),
            retention_policy=has(ObligationKind.RETENTION_DISCLOSURE),
            right_to_withdraw=has(ObligationKind.WITHDRAWAL),
            retention_days=needed.retention_days,
            data_retention_days=needed.retention_days,
            written_consent=has(ObligationKind.WRITTEN_RELEASE),
            retention_schedule=has(ObligationKind.PUBLIC_RETENTION_POLICY),
            no_profit_from_data=has(ObligationKind.NO_SALE_OR_PROFIT),
            notice_at_collection=has(ObligationKind.NOTICE_AT_COLLECTION),
            opt_out_right=has(ObligationKind.OPT_OUT),
            deletion_right=has(ObligationKind.DELETION),
            data_minimization=has(ObligationKind.DATA_MINIMIZATION),
        )


class RegimeRead(BaseModel):
    """What one of the laws that hold asks for, clause by clause, and by when it has things done."""

    jurisdiction: str
    jurisdiction_name: str
    consent_text_version: str
    ruleset_version: str
    ruleset_digest: str
    retention_days: int
    consent_valid_days: int
    obligations: list[Obligation]
    deadlines: list[Deadline]

    @classmethod
    def of(cls, regime: Regime, day: date) -> Self:
        """Show what is asked for on `day`."""
        ruleset = regime.ruleset(day)
        return cls(
            jurisdiction=regime.code,
            jurisdiction_name=ruleset.name,
            consent_text_version=regime.current_text(ConsentType.BIOMETRIC_CAPTURE, day).version,
            ruleset_version=ruleset.version,
            ruleset_digest=ruleset.digest,
            retention_days=ruleset.retention_days,
            consent_valid_days=ruleset.consent_valid_days,
            obligations=list(ruleset.duties(day).obligations),
            deadlines=list(ruleset.deadlines),
        )


class JurisdictionRead(ConsentRequirements):
    """Where a person is, which laws hold there, and what they ask for (also at the top level)."""

    jurisdiction: str
    jurisdictions: list[str]
    detected_country: str | None
    detected_region: str | None
    source: Source
    consent_requirements: ConsentRequirements
    consent_text_languages: list[str] = Field(description="The languages that the text is written in.")
    signature_required: bool = Field(
        description="Whether a grant needs the typed name of the person as `signature` in its metadata."
    )
    separate_consents: list[str] = Field(
        description="What has to be agreed to apart from everything else: `collect`, `share`."
    )
    parental_authorisation_below: int | None = Field(
        description="The age, in years, below which a parent decides; everybody has to be 18 for pictures."
    )
    not_allowed: list[ConsentType] = Field(
        description="Purposes that are refused here whatever anybody agrees to (451 `purpose-not-necessary`)."
    )
    blocked: list[ConsentType] = Field(
        description="Purposes that wait for a regulator to be told (451 `jurisdiction-blocked`)."
    )
    regimes: list[RegimeRead] = Field(description="What each law asks for, in the order of `jurisdictions`.")

    @classmethod
    def resolved(cls, found: ResolvedJurisdiction) -> Self:
        """Show a resolution and what follows from it."""
        shown, resolution = ConsentRequirements.of(found.needed), found.resolution
        duties = found.needed.duties
        return cls(
            **shown.model_dump(),
            jurisdiction=resolution.primary,
            jurisdictions=list(resolution.jurisdictions),
            detected_country=resolution.place.country,
            detected_region=resolution.place.region,
            source=resolution.source,
            consent_requirements=shown,
            consent_text_languages=list(found.languages),
            signature_required=duties.has(ObligationKind.WRITTEN_RELEASE, ConsentType.BIOMETRIC_CAPTURE),
            separate_consents=duties.acts,
            parental_authorisation_below=duties.age_below_which_a_parent_decides(resolution.place.country),
            not_allowed=list(found.not_allowed),
            blocked=list(found.blocked),
            regimes=[RegimeRead.of(regime, found.day) for regime in found.regimes],
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
    languages: list[str] = Field(description="The languages that the current text is written in.")
    texts: list[ConsentTextRead] = Field(
        description="`current` is the one in the language that `Accept-Language` asks for."
    )

    @classmethod
    def of(cls, regime: Regime, consent_type: ConsentType, day: date, language: str) -> Self:
        """Show every version as of `day`."""
        current = regime.current_text(consent_type, day, language)
        return cls(
            jurisdiction=regime.code,
            consent_type=consent_type,
            current_version=current.version,
            languages=sorted(regime.current_texts(consent_type, day)),
            texts=[
                ConsentTextRead.of(text, current=text is current)
                for text in regime.texts_of(consent_type)
                if text.effective_from <= day or text.version == current.version
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

"""Hold what a person was shown against the law of where they are, and say what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from chassis.ids import new_id
from chassis.problems import Problem
from consent.jurisdictions import (
    Resolution,
    Source,
    blocked_under,
    duties_of,
    meets,
    not_necessary_under,
    strictest_first,
)
from consent.obligations import ObligationKind
from consent.policy import EntryKind, expiry, utc_day
from consent.repositories import GrantTerms
from consent.rulebook import DEFAULT_LANGUAGE, ConsentText, Regime, Rulebook
from contracts.fields import ConsentType


class JurisdictionUnknown(Problem, status=409, title="This jurisdiction is not known"):
    """No rules and no texts exist under that name."""

    def __init__(self, rulebook: Rulebook) -> None:
        super().__init__(f"There is no such jurisdiction. Use one of: {rulebook.regime_names}.")


class StricterJurisdictionHolds(Problem, status=409, title="A stricter law holds here"):
    """Where the person is, the law asks for more than the text that they were shown."""


class ConsentTextOutdated(Problem, status=409, title="The consent text has changed"):
    """The person was shown words that are not, or no longer, the current ones."""


class LanguageUnknown(Problem, status=409, title="There is no text in this language"):
    """The text was not written in the language that the person is said to have read."""


class SignatureMissing(Problem, status=422, title="Your signature is missing"):
    """A written release is asked for, and nobody has signed one."""


class PurposeNotNecessary(Problem, status=451, title="Not allowed where you are"):
    """The law allows the purpose only where it is strictly necessary, which no consent makes it."""


class JurisdictionBlocked(Problem, status=451, title="Not available where you are"):
    """Nothing may begin in that place before its regulator was told."""


@dataclass(frozen=True)
class Agreement:
    """What a person says to a purpose, and where.

    `details` is the JSON of whatever else their app wants on record, `ip_address` is the one that the gateway
    vouches for, `language` that of the text that they read, `signature` the name that they typed under it.
    """

    consent_type: ConsentType
    jurisdiction: str
    consent_text_version: str
    resolution: Resolution
    details: str | None = None
    ip_address: str | None = None
    language: str | None = None
    signature: str | None = None


@dataclass(frozen=True)
class Shown:
    """What it was, once it is known to have been enough."""

    regime: Regime
    text: ConsentText


def check_what_was_shown(
    rulebook: Rulebook, agreement: Agreement, day: date, filings: Mapping[str, date]
) -> Shown:
    """Return what can be agreed to.

    Raises `JurisdictionUnknown`, `PurposeNotNecessary`, `JurisdictionBlocked`, `StricterJurisdictionHolds`,
    `ConsentTextOutdated`, `LanguageUnknown`, `SignatureMissing`.
    """
    regime = _regime(rulebook, agreement)
    held_to = (regime.code, *agreement.resolution.located)
    _refuse_what_no_consent_allows(rulebook, agreement, held_to, day, filings)
    if not meets(rulebook, regime.code, agreement.resolution, day):
        raise _stricter(rulebook, agreement, day)
    texts = regime.current_texts(agreement.consent_type, day)
    version = texts[DEFAULT_LANGUAGE].version
    if version != agreement.consent_text_version:
        raise ConsentTextOutdated(
            f"Show the current text and ask again: it is version {version}, and another one was agreed to.",
            extra={"jurisdiction": regime.code, "consent_text_version": version},
        )
    text = _in_language(texts, agreement.language)
    release = duties_of(rulebook, held_to, day).has(ObligationKind.WRITTEN_RELEASE, agreement.consent_type)
    if release and not (agreement.signature or "").strip():
        raise SignatureMissing(
            f"{regime.ruleset(day).name} asks for a written release: type your full name to sign the text."
            " The app sends it as `signature` in `metadata`; nothing was recorded.",
            extra={"errors": [{"field": "metadata.signature", "message": "Type your full name."}]},
        )
    return Shown(regime, text)


def find_what_was_refused(rulebook: Rulebook, agreement: Agreement) -> Shown:
    """Return the text that a person said no to, an earlier one too: a no needs no law to hold.

    Raises `JurisdictionUnknown`, `ConsentTextOutdated` for a version that never was, `LanguageUnknown`.
    """
    regime = _regime(rulebook, agreement)
    version = agreement.consent_text_version
    texts = {text.locale: text for text in regime.texts_of(agreement.consent_type) if text.version == version}
    if not texts:
        known = sorted({text.version for text in regime.texts_of(agreement.consent_type)})
        raise ConsentTextOutdated(f"There is no such version of the text. Use one of: {', '.join(known)}.")
    return Shown(regime, _in_language(texts, agreement.language))


def terms_of(
    kind: EntryKind, rulebook: Rulebook, agreement: Agreement, shown: Shown, now: datetime
) -> GrantTerms:
    """Return what an entry about it is made of."""
    day, resolution = utc_day(now), agreement.resolution
    ruleset = shown.regime.ruleset(day)
    # A default says nothing of where the person is, so it adds no law to those of the text.
    here = () if resolution.source is Source.DEFAULT else resolution.jurisdictions
    return GrantTerms(
        kind=kind,
        consent_id=new_id(),
        text=shown.text,
        ruleset=ruleset,
        jurisdiction=shown.regime.code,
        jurisdictions=strictest_first(rulebook, {*ruleset.covers, *here}, day),
        resolution=resolution,
        resolved_digests=tuple(
            rulebook.regimes[code].ruleset(day).digest for code in resolution.jurisdictions
        ),
        expires_at=None if kind is EntryKind.REFUSAL else expiry(ruleset, now),
        details=agreement.details,
        ip_address=agreement.ip_address,
    )


def _regime(rulebook: Rulebook, agreement: Agreement) -> Regime:
    regime = rulebook.regimes.get(agreement.jurisdiction)
    if regime is None:
        raise JurisdictionUnknown(rulebook)
    return regime


def _in_language(texts: Mapping[str, ConsentText], language: str | None) -> ConsentText:
    text = texts.get(language or DEFAULT_LANGUAGE)
    if text is None:
        raise LanguageUnknown(f"This text is written in: {', '.join(sorted(texts))}.")
    return text


def _refuse_what_no_consent_allows(
    rulebook: Rulebook,
    agreement: Agreement,
    codes: tuple[str, ...],
    day: date,
    filings: Mapping[str, date],
) -> None:
    forbidding = not_necessary_under(rulebook, codes, agreement.consent_type, day)
    if forbidding is not None:
        name = rulebook.regimes[forbidding].ruleset(day).name
        raise PurposeNotNecessary(
            f"{name} allows this only where it is strictly necessary for what you ask for. It is not, and"
            " agreeing does not change that; nothing was recorded.",
            extra={"jurisdiction": forbidding},
        )
    blocking = blocked_under(rulebook, codes, agreement.consent_type, day, filings)
    if blocking is not None:
        name = rulebook.regimes[blocking].ruleset(day).name
        raise JurisdictionBlocked(
            f"{name} asks that the regulator is told before the first picture, and that has not been done"
            " long enough ago. If you are somewhere else in that country, let the app say in which part.",
            extra={"jurisdiction": blocking},
        )


def _stricter(rulebook: Rulebook, agreement: Agreement, day: date) -> StricterJurisdictionHolds:
    primary = rulebook.regimes[agreement.resolution.primary]
    unknown = agreement.resolution.source is Source.DEFAULT
    where = "As long as nobody knows where you are" if unknown else "Where you are"
    return StricterJurisdictionHolds(
        f"{where}, {primary.code} holds: {primary.ruleset(day).name}. Read its text and agree to that.",
        extra={
            "jurisdiction": primary.code,
            "jurisdictions": list(agreement.resolution.jurisdictions),
            "consent_text_version": primary.current_text(agreement.consent_type, day).version,
        },
    )

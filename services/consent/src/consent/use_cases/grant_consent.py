"""Record that a person agrees to one purpose under one text."""

import math
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from chassis.clock import Clock
from chassis.db import UnitOfWork
from chassis.ids import new_id
from chassis.problems import Problem
from consent.policy import (
    Consent,
    Resolution,
    Source,
    consent_of,
    expiry,
    meets,
    strictest_first,
    utc_day,
)
from consent.repositories import Gates, GrantTerms, Ledger
from consent.rulebook import ConsentText, Regime, Rulebook
from consent.use_cases.expire_consents import close_lapsed_gate
from contracts.consent import ConsentGranted
from contracts.fields import ConsentType


class JurisdictionUnknown(Problem):
    """No rules and no texts exist under that name."""

    status = 409
    slug = "jurisdiction-unknown"
    title = "This jurisdiction is not known"

    def __init__(self, rulebook: Rulebook) -> None:
        super().__init__(f"There is no such jurisdiction. Use one of: {rulebook.regime_names}.")


class StricterJurisdictionHolds(Problem):
    """Where the person is, the law asks for more than the text that they were shown."""

    status = 409
    slug = "stricter-jurisdiction-holds"
    title = "A stricter law holds here"


class ConsentTextOutdated(Problem):
    """The person was shown words that are not, or no longer, the current ones."""

    status = 409
    slug = "consent-text-outdated"
    title = "The consent text has changed"
    detail = "Show the current text and ask again: the version that was agreed to is not the current one."


class TooManyChanges(Problem):
    """The person has changed their mind too often within an hour; withdrawing is never refused."""

    status = 429
    slug = "too-many-consent-changes"
    title = "Changed too often"
    detail = "This consent was given and withdrawn many times within an hour. Try again later."


class ProveAddressFirst(Problem):
    """Nobody has shown yet that the account's address is theirs."""

    status = 403
    slug = "prove-address-first"
    title = "The e-mail address is not confirmed"
    detail = "Confirm your e-mail address first: follow the link in the mail that was sent to you."


@dataclass(frozen=True)
class Agreement:
    """What a person says yes to, and where; `details` is the JSON of whatever else their app wants on record.

    `ip_address` is the one that the gateway vouches for.
    """

    consent_type: ConsentType
    jurisdiction: str
    consent_text_version: str
    resolution: Resolution
    details: str | None = None
    ip_address: str | None = None


@dataclass(frozen=True)
class GrantLimits:
    """What a grant has to keep to: changes per hour and consent, and purposes that need a proved address."""

    changes_per_hour: int
    proved_address_for: frozenset[ConsentType] = frozenset()


async def grant_consent(
    uow: UnitOfWork,
    agreement: Agreement,
    *,
    user_id: UUID,
    address_proved: bool,
    limits: GrantLimits,
    rulebook: Rulebook,
    clock: Clock,
) -> Consent:
    """Append a grant and announce it; the same consent given again while it is live is the one there is.

    Another jurisdiction or text supersedes the consent that is live; one that has lapsed is closed first.
    Raises `ProveAddressFirst`, `JurisdictionUnknown`, `StricterJurisdictionHolds`, `ConsentTextOutdated`,
    `TooManyChanges`, and `PersonErased` for someone whose erasure has begun.
    """
    if agreement.consent_type in limits.proved_address_for and not address_proved:
        raise ProveAddressFirst
    regime, text = _what_was_shown(rulebook, agreement, utc_day(clock.now()))
    await uow.lock_subject(user_id)
    held = await Gates(uow.session).hold(
        user_id, agreement.consent_type, now=clock.now(), changes=limits.changes_per_hour
    )
    gate, ledger = held.gate, Ledger(uow.session)
    # The time is read behind the lock: what is compared with it was written before.
    now = clock.now()
    if held.granted is not None:
        consent = consent_of(held.granted)
        same = (consent.jurisdiction, consent.consent_text_version) == (regime.code, text.version)
        if same and consent.is_live(rulebook, now):
            return consent
        if consent.has_lapsed(now):
            gate = await close_lapsed_gate(uow, gate, held.granted)
    if held.wait_seconds > 0:
        raise TooManyChanges(headers={"Retry-After": str(math.ceil(held.wait_seconds))})
    terms = _terms(rulebook, agreement, regime=regime, text=text, clock=clock)
    consent = consent_of(await ledger.append_grant(gate, terms))
    uow.publish(_announcement(consent))
    return consent


def _what_was_shown(rulebook: Rulebook, agreement: Agreement, day: date) -> tuple[Regime, ConsentText]:
    regime = rulebook.regimes.get(agreement.jurisdiction)
    if regime is None:
        raise JurisdictionUnknown(rulebook)
    if not meets(rulebook, agreement.jurisdiction, agreement.resolution, day):
        raise _stricter(rulebook, agreement, day)
    text = regime.current_text(agreement.consent_type, day)
    if text.version != agreement.consent_text_version:
        raise ConsentTextOutdated
    return regime, text


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


def _terms(
    rulebook: Rulebook, agreement: Agreement, *, regime: Regime, text: ConsentText, clock: Clock
) -> GrantTerms:
    now = clock.now()
    ruleset, resolution = regime.ruleset(utc_day(now)), agreement.resolution
    # A default says nothing of where the person is, so it adds no law to those of the text.
    here = () if resolution.source is Source.DEFAULT else resolution.jurisdictions
    return GrantTerms(
        consent_id=new_id(),
        text=text,
        ruleset=ruleset,
        jurisdiction=regime.code,
        jurisdictions=strictest_first(rulebook, {*ruleset.covers, *here}, utc_day(now)),
        resolution=resolution,
        expires_at=expiry(ruleset, now),
        details=agreement.details,
        ip_address=agreement.ip_address,
    )


def _announcement(consent: Consent) -> ConsentGranted:
    return ConsentGranted(
        user_id=consent.user_id,
        consent_id=consent.id,
        consent_type=ConsentType(consent.consent_type),
        jurisdiction=consent.jurisdiction,
        consent_text_version=consent.consent_text_version,
        epoch=consent.epoch,
        granted_at=consent.granted_at,
    )

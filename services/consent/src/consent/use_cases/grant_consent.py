"""Record that a person agrees to one purpose under one text."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from chassis.clock import Clock
from chassis.db import UnitOfWork
from chassis.ids import new_id
from chassis.problems import Problem
from consent.policy import Consent, consents_told_by, expiry, utc_day
from consent.repositories import Gates, Ledger
from consent.rulebook import ConsentText, Regime, Rulebook
from contracts.consent import ConsentGranted
from contracts.fields import ConsentType


class JurisdictionUnknown(Problem):
    """No rules and no texts exist under that name."""

    status = 409
    slug = "jurisdiction-unknown"
    title = "This jurisdiction is not known"
    detail = "Nobody can agree under a jurisdiction without rules. GET /privacy/jurisdiction names yours."


class ConsentTextOutdated(Problem):
    """The person was shown words that are not, or no longer, the current ones."""

    status = 409
    slug = "consent-text-outdated"
    title = "The consent text has changed"
    detail = "Show the current text and ask again: the version that was agreed to is not the current one."


@dataclass(frozen=True)
class Agreement:
    """What a person says yes to; `details` is the JSON of whatever else their app wants on record."""

    consent_type: ConsentType
    jurisdiction: str
    consent_text_version: str
    details: str | None = None


async def grant_consent(
    uow: UnitOfWork, agreement: Agreement, *, user_id: UUID, rulebook: Rulebook, clock: Clock
) -> Consent:
    """Append a grant and announce it; the same consent given again while it is live is the one there is.

    Another jurisdiction or text supersedes the consent that is live. Raises `JurisdictionUnknown`,
    `ConsentTextOutdated`, and `PersonErased` for someone whose erasure has begun.
    """
    regime, text = _what_was_shown(rulebook, agreement, utc_day(clock.now()))
    await uow.about(user_id)
    gate = await Gates(uow.session).hold(user_id, agreement.consent_type)
    ledger = Ledger(uow.session)
    # The time is read behind the lock: entries of one gate never run backwards.
    now = clock.now()
    for consent in consents_told_by(await ledger.of_person(user_id, agreement.consent_type)):
        same = (consent.jurisdiction, consent.consent_text_version) == (regime.code, text.version)
        if same and consent.is_live(rulebook, now):
            return consent
    ruleset = regime.ruleset(utc_day(now))
    entry = await ledger.append_grant(
        gate,
        consent_id=new_id(),
        jurisdiction=regime.code,
        text=text,
        ruleset=ruleset,
        details=agreement.details,
        at=now,
        expires_at=expiry(ruleset, now),
    )
    [consent] = consents_told_by([entry])
    uow.publish(_announcement(consent))
    return consent


def _what_was_shown(rulebook: Rulebook, agreement: Agreement, day: date) -> tuple[Regime, ConsentText]:
    regime = rulebook.regimes.get(agreement.jurisdiction)
    if regime is None:
        raise JurisdictionUnknown
    text = regime.current_text(agreement.consent_type, day)
    if text.version != agreement.consent_text_version:
        raise ConsentTextOutdated
    return regime, text


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

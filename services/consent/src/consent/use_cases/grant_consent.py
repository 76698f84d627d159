"""Record that a person agrees to one purpose under one text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from chassis.clock import Clock
from chassis.db import UnitOfWork
from chassis.problems import Problem
from consent.policy import Consent, EntryKind, consent_of, utc_day
from consent.repositories import Held, HeldGates, Ledger
from consent.rulebook import Rulebook
from consent.use_cases.expire_consents import close_lapsed_gate
from consent.use_cases.what_was_shown import Agreement, Shown, check_what_was_shown, terms_of
from contracts.consent import ConsentGranted
from contracts.fields import ConsentType


class TooManyChanges(Problem, status=429, slug="too-many-consent-changes", title="Changed too often"):
    """The person has changed their mind too often within an hour; withdrawing is never refused."""

    detail = "This consent was given and withdrawn many times within an hour. Try again later."


class ProveAddressFirst(Problem, status=403, title="The e-mail address is not confirmed"):
    """Nobody has shown yet that the account's address is theirs."""

    detail = "Confirm your e-mail address first: follow the link in the mail that was sent to you."


@dataclass(frozen=True)
class GrantLimits:
    """What a grant has to keep to.

    Changes per hour and consent, purposes that need a proved address, and when which regulator was told.
    """

    changes_per_hour: int
    proved_address_for: frozenset[ConsentType] = frozenset()
    filings: Mapping[str, date] = field(default_factory=dict)


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

    Given again in the last days before it lapses it is renewed: a new consent takes its place. Another
    jurisdiction or text supersedes the consent that is live; one that has lapsed is closed first.
    Raises `ProveAddressFirst`, what `check_what_was_shown` raises, `TooManyChanges`, and `PersonErased` for
    someone whose erasure has begun.
    """
    if agreement.consent_type in limits.proved_address_for and not address_proved:
        raise ProveAddressFirst
    shown = check_what_was_shown(rulebook, agreement, utc_day(clock.now()), limits.filings)
    held = await HeldGates(uow).hold(
        user_id, agreement.consent_type, now=clock.now(), changes=limits.changes_per_hour
    )
    gate, kind = held.gate, EntryKind.GRANT
    # The time is read behind the lock: what is compared with it was written before.
    now = clock.now()
    if held.granted is not None:
        consent = consent_of(held.granted)
        if _is_the_same(consent, shown) and consent.is_live(rulebook, now):
            if not consent.is_renewable(shown.regime.ruleset(utc_day(now)), now):
                return consent
            kind = EntryKind.RENEWAL
        if consent.has_lapsed(now):
            gate = await close_lapsed_gate(uow, gate, held.granted)
    refuse_too_many_changes(held)
    terms = terms_of(kind, rulebook, agreement, shown, now)
    consent = consent_of(await Ledger(uow.session).append_grant(gate, terms))
    uow.publish(_announcement(consent))
    return consent


def refuse_too_many_changes(held: Held) -> None:
    """Raise `TooManyChanges` while the changes of an hour are used up."""
    if held.wait_seconds > 0:
        raise TooManyChanges(headers={"Retry-After": str(math.ceil(held.wait_seconds))})


def _is_the_same(consent: Consent, shown: Shown) -> bool:
    agreed = (consent.jurisdiction, consent.consent_text_version)
    return agreed == (shown.regime.code, shown.text.version)


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

"""The rules of consent, without any machinery: when a consent counts, and for how long."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from consent.jurisdictions import NOWHERE, Hints, Place, meets, resolve
from consent.retention import RetentionItem, Start
from consent.rulebook import Regime, Rulebook, Ruleset


def enforcement_of(item: RetentionItem) -> tuple[bool, str]:
    """Return whether the period of a row of the schedule is carried out, and in words what is."""
    if item.days is None:
        return True, (
            "Deleting the account starts the destruction; it is repeated until nothing is left."
            " No backups are made by the platform; whoever makes them has to let them expire."
        )
    counted = (
        f"Counted are the days since the last sign-in, renewal of a session or consent; after {item.days} the"
        " consent is closed and what rested on it is destroyed."
        if item.starts is Start.LAST_INTERACTION
        else "The purpose ends with the consent: when it is withdrawn or expires, and with the account."
        f" The destruction starts at that moment, not after {item.days} days."
    )
    return True, (
        f"{counted} No backups are made by the platform; whoever makes them has to let them expire."
    )


def expiry(ruleset: Ruleset, granted_at: datetime) -> datetime:
    """Return when a consent granted now lapses by itself."""
    return granted_at + timedelta(days=ruleset.consent_valid_days)


class EntryKind(StrEnum):
    """What a ledger entry tells of."""

    GRANT = "grant"
    RENEWAL = "renewal"
    REFUSAL = "refusal"
    WITHDRAWAL = "withdrawal"
    EXPIRY = "expiry"


class Grant(Protocol):
    """What the rules need to know of a ledger entry that says yes."""

    consent_type: str
    epoch: int
    occurred_at: datetime
    jurisdiction: str
    jurisdictions: list[str]
    consent_text_version: str
    expires_at: datetime | None
    user_id: UUID | None
    consent_id: UUID | None
    country: str | None
    region: str | None
    residence: str | None


class ConsentStatus(StrEnum):
    """Where a consent stands; only a live one allows anything."""

    LIVE = "live"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    OUTDATED = "outdated"


@dataclass(frozen=True)
class Consent:
    """A consent as its grant tells it and what came after; `followed_by` is the kind of the next entry."""

    id: UUID
    user_id: UUID
    consent_type: str
    jurisdiction: str
    jurisdictions: tuple[str, ...]
    consent_text_version: str
    epoch: int
    granted_at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None = None
    followed_by: str | None = None
    place: Place = NOWHERE
    residence: Place | None = None
    refused: bool = False

    def status(self, rulebook: Rulebook, now: datetime) -> ConsentStatus:
        """Tell whether this consent counts at `now`, and if not, why."""
        if self.refused:
            return ConsentStatus.REFUSED
        if self.withdrawn_at is not None:
            return ConsentStatus.WITHDRAWN
        if self.followed_by in {EntryKind.GRANT, EntryKind.RENEWAL}:
            return ConsentStatus.SUPERSEDED
        if self.followed_by == EntryKind.EXPIRY or self.has_lapsed(now):
            return ConsentStatus.EXPIRED
        regime = rulebook.regimes.get(self.jurisdiction)
        if regime is None or _needs_renewal(regime, self.consent_type, self.consent_text_version, now):
            return ConsentStatus.OUTDATED
        return ConsentStatus.LIVE

    def has_lapsed(self, now: datetime) -> bool:
        """Tell whether its time is over at `now`."""
        return now >= self.expires_at

    def is_renewable(self, ruleset: Ruleset, now: datetime) -> bool:
        """Tell whether it lapses so soon that giving it again makes it last longer."""
        return now >= self.expires_at - timedelta(days=ruleset.renewal_days)

    def is_live(self, rulebook: Rulebook, now: datetime) -> bool:
        """Tell whether this consent allows its purpose at `now`."""
        return self.status(rulebook, now) is ConsentStatus.LIVE


def law_that_asks_for_more(rulebook: Rulebook, consent: Consent, seen: Hints, day: date) -> str | None:
    """Return the regime that a live consent is not enough for, where the person is seen, if there is one.

    Where they said that they live, and where their device said that it was, goes on counting. A place that
    can't be read says nothing.
    """
    device = seen.device if seen.device is not None and seen.device.country else consent.place
    hints = Hints(
        device=device if device.country else None, network=seen.network, residence=consent.residence
    )
    resolution = resolve(rulebook, hints, day)
    if set(resolution.located) <= set(consent.jurisdictions):
        return None
    return None if meets(rulebook, consent.jurisdiction, resolution, day) else resolution.primary


def _needs_renewal(regime: Regime, consent_type: str, version: str, now: datetime) -> bool:
    # A text may be corrected without asking everyone again; one that changes what people agree to says so.
    day = utc_day(now)
    for text in regime.texts_of(consent_type):
        if text.version == version:
            return False
        if text.renewal_required and text.effective_from <= day:
            return True
    return True


def consent_of(
    granted: Grant, *, withdrawn_at: datetime | None = None, followed_by: str | None = None
) -> Consent:
    """Read a grant and what came after it into a consent; raises ValueError for a blanked grant."""
    if granted.user_id is None or granted.consent_id is None:
        raise ValueError("a blanked entry tells of no consent")
    return Consent(
        id=granted.consent_id,
        user_id=granted.user_id,
        consent_type=granted.consent_type,
        jurisdiction=granted.jurisdiction,
        jurisdictions=tuple(granted.jurisdictions),
        consent_text_version=granted.consent_text_version,
        epoch=granted.epoch,
        granted_at=granted.occurred_at,
        # A grant always says when it lapses; one that does not counts as lapsed, never as endless.
        expires_at=granted.expires_at or granted.occurred_at,
        withdrawn_at=withdrawn_at,
        followed_by=followed_by,
        place=Place(granted.country, granted.region),
        residence=_place_of(granted.residence),
    )


def refusal_of(said: Grant) -> Consent:
    """Read a refusal likewise; it ends when it begins."""
    return replace(consent_of(said), refused=True)


def _place_of(code: str | None) -> Place | None:
    country, _, region = (code or "").partition("-")
    return Place(country, region or None) if country else None


def utc_day(moment: datetime) -> date:
    """Return the day, in UTC, by which rules and texts change."""
    return moment.astimezone(UTC).date()

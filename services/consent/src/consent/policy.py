"""The rules of consent, without any machinery: where a person is, what holds there, when a consent counts."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from consent.rulebook import ConsentText, Duties, Regime, Rulebook, Ruleset

_COUNTRY = re.compile(r"[A-Z]{2}")
_REGION = re.compile(r"[A-Z0-9]{1,3}")


class Source(StrEnum):
    """What a resolved jurisdiction rests on."""

    DEVICE = "device"
    IP = "ip"
    DEFAULT = "default"


@dataclass(frozen=True)
class Place:
    """ISO 3166-1 alpha-2 country and ISO 3166-2 region without its prefix, upper case; None is unknown."""

    country: str | None
    region: str | None


@dataclass(frozen=True)
class Resolution:
    """The regimes that a person falls under, the strictest first, and how we came to them."""

    jurisdictions: tuple[str, ...]
    place: Place
    source: Source

    @property
    def primary(self) -> str:
        """The regime whose text is shown: the strictest."""
        return self.jurisdictions[0]


@dataclass(frozen=True)
class Requirements:
    """What has to be shown and kept to: union of duties, strictest consent, shortest retention."""

    jurisdiction: str
    name: str
    text: ConsentText
    duties: Duties
    retention_days: int


def read_place(rulebook: Rulebook, country: str | None, region: str | None) -> Place:
    """Read what a device says of itself, tolerantly: `de`, `EL`, `US-IL`; what can't be read is unknown."""
    country_code = (country or "").strip().upper()
    country_code = rulebook.aliases.get(country_code, country_code)
    region_code = (region or "").strip().upper().removeprefix(f"{country_code}-")
    known_country = country_code if _COUNTRY.fullmatch(country_code) else None
    return Place(known_country, region_code if known_country and _REGION.fullmatch(region_code) else None)


def resolve(rulebook: Rulebook, *, device: Place | None, network: Place | None, day: date) -> Resolution:
    """Find the regimes of a person; total.

    What the device says leads. Where the network says something else the person gets the laws of both
    places: a network address may add protection, never take any away.
    """
    places = [place for place in (device, network) if place is not None and place.country is not None]
    if device is not None and device not in places:
        # The device named a place that can't be read: the default regimes, and those of its network too.
        places.insert(0, device)
    leading = places[0] if places else Place(None, None)
    table = rulebook.territories(day)
    codes = {code for place in places or [leading] for code in table.regimes(place.country, place.region)}
    source = Source.DEVICE if device is not None else Source.IP if places else Source.DEFAULT
    return Resolution(strictest_first(rulebook, codes, day), leading, source)


def strictest_first(rulebook: Rulebook, codes: Iterable[str], day: date) -> tuple[str, ...]:
    """Order regimes by how much they ask of us, the most demanding first."""
    return tuple(sorted(set(codes), key=lambda code: (-rulebook.regimes[code].ruleset(day).strictness, code)))


def requirements(
    rulebook: Rulebook, jurisdictions: Sequence[str], consent_type: str, day: date
) -> Requirements:
    """Combine what several regimes ask for; `jurisdictions` stands strictest first."""
    rulesets = [rulebook.regimes[code].ruleset(day) for code in jurisdictions]
    duties = rulesets[0].duties
    for ruleset in rulesets[1:]:
        duties = duties.union(ruleset.duties)
    return Requirements(
        jurisdiction=jurisdictions[0],
        name=rulesets[0].name,
        text=rulebook.regimes[jurisdictions[0]].current_text(consent_type, day),
        duties=duties,
        retention_days=min(ruleset.retention_days for ruleset in rulesets),
    )


def expiry(ruleset: Ruleset, granted_at: datetime) -> datetime:
    """Return when a consent granted now lapses by itself."""
    return granted_at + timedelta(days=ruleset.consent_valid_days)


class EntryKind(StrEnum):
    """What a ledger entry tells of."""

    GRANT = "grant"
    WITHDRAWAL = "withdrawal"


class Entry(Protocol):
    """What the rules need to know of a ledger entry."""

    kind: str
    consent_type: str
    epoch: int
    occurred_at: datetime
    jurisdiction: str
    jurisdictions: list[str]
    consent_text_version: str
    expires_at: datetime | None
    user_id: UUID | None
    consent_id: UUID | None


class ConsentStatus(StrEnum):
    """Where a consent stands; only a live one allows anything."""

    LIVE = "live"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    OUTDATED = "outdated"


@dataclass(frozen=True)
class Consent:
    """A consent as the entries tell it; nothing of it is stored anywhere else."""

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
    superseded: bool = False

    def status(self, rulebook: Rulebook, now: datetime) -> ConsentStatus:
        """Tell whether this consent counts at `now`, and if not, why."""
        if self.withdrawn_at is not None:
            return ConsentStatus.WITHDRAWN
        if self.superseded:
            return ConsentStatus.SUPERSEDED
        if now >= self.expires_at:
            return ConsentStatus.EXPIRED
        regime = rulebook.regimes.get(self.jurisdiction)
        if regime is None or _needs_renewal(regime, self.consent_type, self.consent_text_version, now):
            return ConsentStatus.OUTDATED
        return ConsentStatus.LIVE

    def is_live(self, rulebook: Rulebook, now: datetime) -> bool:
        """Tell whether this consent allows its purpose at `now`."""
        return self.status(rulebook, now) is ConsentStatus.LIVE


def _needs_renewal(regime: Regime, consent_type: str, version: str, now: datetime) -> bool:
    # A text may be corrected without asking everyone again; one that changes what people agree to says so.
    day = utc_day(now)
    for text in regime.texts_of(consent_type):
        if text.version == version:
            return False
        if text.renewal_required and text.effective_from <= day:
            return True
    return True


def consents_told_by(entries: Iterable[Entry]) -> list[Consent]:
    """Read one person's entries into consents, newest first.

    A withdrawal ends every earlier consent of its type, superseded ones too; a later grant supersedes the
    earlier one. Entries without a person, which is what erasure leaves, tell nothing.
    """
    told: list[Consent] = []
    for entry in sorted(entries, key=lambda entry: entry.epoch):
        if entry.user_id is None or entry.consent_id is None:
            continue
        told = [_after(earlier, entry) for earlier in told]
        if entry.kind == EntryKind.GRANT:
            told.append(_granted_by(entry, entry.user_id, entry.consent_id))
    return sorted(told, key=lambda consent: (consent.granted_at, consent.epoch), reverse=True)


def _after(consent: Consent, entry: Entry) -> Consent:
    if consent.consent_type != entry.consent_type:
        return consent
    if entry.kind == EntryKind.WITHDRAWAL:
        return replace(consent, withdrawn_at=consent.withdrawn_at or entry.occurred_at)
    return replace(consent, superseded=True)


def _granted_by(entry: Entry, user_id: UUID, consent_id: UUID) -> Consent:
    return Consent(
        id=consent_id,
        user_id=user_id,
        consent_type=entry.consent_type,
        jurisdiction=entry.jurisdiction,
        jurisdictions=tuple(entry.jurisdictions),
        consent_text_version=entry.consent_text_version,
        epoch=entry.epoch,
        granted_at=entry.occurred_at,
        # A grant always says when it lapses; one that does not counts as lapsed, never as endless.
        expires_at=entry.expires_at or entry.occurred_at,
    )


def utc_day(moment: datetime) -> date:
    """Return the day, in UTC, by which rules and texts change."""
    return moment.astimezone(UTC).date()

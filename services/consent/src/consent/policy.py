"""The rules of consent, without any machinery: where a person is, what holds there, when a consent counts."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from consent.rulebook import ConsentText, Duties, Regime, RetentionItem, Rulebook, Ruleset

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
    territories_digest: str

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
    """Read what a device says of itself, tolerantly: `de`, `DEU`, `EL`, `US-IL`, `GB-ENG`, `PR`.

    Codes are those of ISO 3166-1 and 3166-2; a territory that has a code of its own is part of the country
    whose laws it has. What can't be read is unknown.
    """
    code, _, suffix = _letters(country).partition("-")
    country_code, _, territory = rulebook.country(code).partition("-")
    if country_code not in rulebook.known_countries:
        return Place(None, None)
    head, _, tail = _letters(region).partition("-")
    named = tail if tail and rulebook.country(head) == country_code else _letters(region)
    readable = (part for part in (territory, named, suffix) if _REGION.fullmatch(part))
    return Place(country_code, next(readable, None))


def _letters(code: str | None) -> str:
    return (code or "").strip().upper().replace("_", "-")


def resolve(rulebook: Rulebook, *, device: Place | None, network: Place | None, day: date) -> Resolution:
    """Find the regimes of a person; total.

    What the device says leads. Where the network says something else the person gets the laws of both
    places: a network address may add protection, never take any away. A device that names a place that can't
    be read may be anywhere: it gets the union of the strictest, and rests on nothing but that default.
    """
    table = rulebook.territories(day)
    places = [place for place in (device, network) if place is not None and place.country is not None]
    codes = {code for place in places for code in table.regimes(place.country, place.region)}
    unreadable = device is not None and device.country is None
    if unreadable:
        codes.update(table.unreadable)
    if unreadable or not places:
        source, leading = Source.DEFAULT, Place(None, None)
    else:
        source, leading = Source.IP if device is None else Source.DEVICE, places[0]
    return Resolution(strictest_first(rulebook, codes or table.default, day), leading, source, table.digest)


def resolve_hints(
    rulebook: Rulebook, *, country: str | None, region: str | None, network: Place | None, day: date
) -> Resolution:
    """Resolve from what the device says, else from its network, else to the strict default."""
    device = read_place(rulebook, country, region) if country and country.strip() else None
    return resolve(rulebook, device=device, network=network, day=day)


def meets(rulebook: Rulebook, jurisdiction: str, resolution: Resolution, day: date) -> bool:
    """Tell whether agreeing under `jurisdiction` is enough where `resolution` holds.

    The strictest resolved regime always is: its text is the one that is shown. Another one has to be at least
    as strict by the rulebook's order. Where the place is known it has, besides, to oblige us to all that the
    resolved regimes do and to keep nothing for longer: the strict law of elsewhere does not stand in for what
    the law here asks. Where nothing is known of the place the default is a floor, and the order decides.
    """
    if jurisdiction == resolution.primary:
        return True
    chosen = rulebook.regimes[jurisdiction].ruleset(day)
    asked = [rulebook.regimes[code].ruleset(day) for code in resolution.jurisdictions]
    if chosen.strictness < asked[0].strictness:
        return False
    return resolution.source is Source.DEFAULT or all(chosen.does_all_of(ruleset) for ruleset in asked)


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


def enforcement_of(item: RetentionItem) -> tuple[bool, str]:
    """Return whether the period of a row of the schedule is carried out, and in words what is."""
    if item.days is None:
        return True, (
            "Deleting the account starts the destruction; it is repeated until nothing is left."
            " No backups are made by the platform; whoever makes them has to let them expire."
        )
    return False, (
        f"Not carried out yet: nothing counts the {item.days} days. Destroyed is what ends earlier:"
        " at a deletion, at a withdrawal, when the consent expires, and with the account."
        " No backups are made by the platform; whoever makes them has to let them expire."
    )


def expiry(ruleset: Ruleset, granted_at: datetime) -> datetime:
    """Return when a consent granted now lapses by itself."""
    return granted_at + timedelta(days=ruleset.consent_valid_days)


class EntryKind(StrEnum):
    """What a ledger entry tells of."""

    GRANT = "grant"
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


class ConsentStatus(StrEnum):
    """Where a consent stands; only a live one allows anything."""

    LIVE = "live"
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

    def status(self, rulebook: Rulebook, now: datetime) -> ConsentStatus:
        """Tell whether this consent counts at `now`, and if not, why."""
        if self.withdrawn_at is not None:
            return ConsentStatus.WITHDRAWN
        if self.followed_by == EntryKind.GRANT:
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
    )


def utc_day(moment: datetime) -> date:
    """Return the day, in UTC, by which rules and texts change."""
    return moment.astimezone(UTC).date()

"""Where a person is, which laws hold there, and what they ask for together."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from consent.obligations import Duties, ObligationKind
from consent.rulebook import DEFAULT_LANGUAGE, ConsentText, Rulebook

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

    def __str__(self) -> str:
        """Return the code of ISO 3166, such as `US-IL`; empty where nothing is known."""
        return "-".join(part for part in (self.country, self.region) if part)


NOWHERE = Place(None, None)


@dataclass(frozen=True)
class Hints:
    """What is known of where a person is: declared residence, device and network; None where nothing is said.

    A place without a country is one that was named and can't be read.
    """

    device: Place | None = None
    network: Place | None = None
    residence: Place | None = None


@dataclass(frozen=True)
class Resolution:
    """The regimes that a person falls under, the strictest first, and how we came to them.

    `located` are those that hold at a place that is known: what they forbid is forbidden, whereas a default
    says nothing of where anybody is.
    """

    jurisdictions: tuple[str, ...]
    place: Place
    source: Source
    territories_digest: str
    located: tuple[str, ...] = ()
    residence: Place | None = None

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
        return NOWHERE
    head, _, tail = _letters(region).partition("-")
    named = tail if tail and rulebook.country(head) == country_code else _letters(region)
    readable = (part for part in (territory, named, suffix) if _REGION.fullmatch(part))
    return Place(country_code, next(readable, None))


def read_hint(rulebook: Rulebook, country: str | None, region: str | None = None) -> Place | None:
    """Read a place that may be left out; None when it is."""
    return read_place(rulebook, country, region) if country and country.strip() else None


def _letters(code: str | None) -> str:
    return (code or "").strip().upper().replace("_", "-")


def resolve(rulebook: Rulebook, hints: Hints, day: date) -> Resolution:
    """Find the regimes of a person; total.

    Everybody gets the laws of every place that is known: a network address may add protection, never take any
    away. Who names a place that can't be read may be anywhere: they get the union of the strictest besides,
    and rest on nothing but that default.
    """
    table = rulebook.territories(day)
    said = [place for place in (hints.device, hints.residence) if place is not None]
    known = [place for place in (*said, hints.network) if place is not None and place.country is not None]
    located = {code for place in known for code in table.regimes(place.country, place.region)}
    unreadable = any(place.country is None for place in said)
    codes = located.union(table.unreadable if unreadable else ())
    if unreadable or not known:
        source, leading = Source.DEFAULT, NOWHERE
    else:
        source, leading = Source.DEVICE if said else Source.IP, known[0]
    return Resolution(
        jurisdictions=strictest_first(rulebook, codes or table.default, day),
        place=leading,
        source=source,
        territories_digest=table.digest,
        located=strictest_first(rulebook, located, day),
        residence=hints.residence,
    )


def meets(rulebook: Rulebook, jurisdiction: str, resolution: Resolution, day: date) -> bool:
    """Tell whether agreeing under `jurisdiction` is enough where `resolution` holds.

    The strictest resolved regime always is: its text is the one that is shown. Another one has to rank at
    least as high. Where the place is known its obligations have, besides, to include those of all resolved
    regimes, and it has to keep nothing for longer: the strict law of elsewhere does not stand in for what the
    law here asks. Where nothing is known of the place the default is a floor, and the rank decides.
    """
    if jurisdiction == resolution.primary:
        return True
    chosen = rulebook.regimes[jurisdiction].ruleset(day)
    asked = [rulebook.regimes[code].ruleset(day) for code in resolution.jurisdictions]
    if resolution.source is Source.DEFAULT:
        return chosen.strictness(day) >= asked[0].strictness(day)
    # A regime that says that it covers another was written to stand in for it.
    return all(
        rules is chosen or code in chosen.covers or chosen.does_all_of(rules, day)
        for code, rules in zip(resolution.jurisdictions, asked, strict=True)
    )


def strictest_first(rulebook: Rulebook, codes: Iterable[str], day: date) -> tuple[str, ...]:
    """Order regimes by how much they ask of us, the most demanding first."""
    by_name = sorted(set(codes))
    strictness = {code: rulebook.regimes[code].ruleset(day).strictness(day) for code in by_name}
    return tuple(sorted(by_name, key=strictness.__getitem__, reverse=True))


def duties_of(rulebook: Rulebook, codes: Iterable[str], day: date) -> Duties:
    """Return what several regimes ask for together."""
    return Duties.of(rulebook.regimes[code].ruleset(day).duties(day) for code in codes)


def requirements(
    rulebook: Rulebook,
    jurisdictions: Sequence[str],
    consent_type: str,
    day: date,
    language: str = DEFAULT_LANGUAGE,
) -> Requirements:
    """Combine what several regimes ask for; `jurisdictions` stands strictest first."""
    rulesets = [rulebook.regimes[code].ruleset(day) for code in jurisdictions]
    return Requirements(
        jurisdiction=jurisdictions[0],
        name=rulesets[0].name,
        text=rulebook.regimes[jurisdictions[0]].current_text(consent_type, day, language),
        duties=duties_of(rulebook, jurisdictions, day),
        retention_days=min(ruleset.retention_days for ruleset in rulesets),
    )


def not_necessary_under(rulebook: Rulebook, codes: Iterable[str], consent_type: str, day: date) -> str | None:
    """Return the regime that forbids that purpose whatever anybody agrees to, if one does."""
    kind = ObligationKind.STRICT_NECESSITY
    forbidding = (code for code in codes if duties_of(rulebook, [code], day).has(kind, consent_type))
    return next(forbidding, None)


def blocked_under(
    rulebook: Rulebook, codes: Iterable[str], consent_type: str, day: date, filings: Mapping[str, date]
) -> str | None:
    """Return the regime whose regulator was not told, or too lately, if there is one; `filings` say when."""
    for code in codes:
        for obligation in duties_of(rulebook, [code], day).obligations:
            if obligation.days_before_service is None or consent_type not in obligation.consent_types:
                continue
            filed = filings.get(code)
            if filed is None or day < filed + timedelta(days=obligation.days_before_service):
                return code
    return None

"""The law as data: which regime holds where, what it asks for, and the texts that people agree to.

Nothing here is decided in code: a change of law or wording is a new dated entry in `rules/`.
"""

import hashlib
import json
from datetime import date
from functools import cached_property
from typing import Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from consent.obligations import Duties, Obligation
from consent.retention import Deadline, RetentionItem
from contracts.fields import ConsentType

DEFAULT_LANGUAGE = "en"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Dated(_Data):
    version: str
    effective_from: date
    effective_to: date | None

    def in_force(self, day: date) -> bool:
        """Tell whether this entry holds on `day`; `effective_to` is the first day that it no longer does."""
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, so that a consent can name exactly the rules it was given under."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class Ruleset(_Dated):
    """What one regime asks for during one period.

    `covers` are the regimes whose asking is met by agreeing to this one's text, `renewal_days` for how many
    days before a consent lapses it can be renewed.
    """

    name: str
    covers: tuple[str, ...]
    obligations: tuple[Obligation, ...] = Field(min_length=1)
    retention_days: int = Field(gt=0)
    consent_valid_days: int = Field(gt=0)
    renewal_days: int = Field(ge=0)
    deadlines: tuple[Deadline, ...]
    retention_schedule: tuple[RetentionItem, ...]
    _duties: dict[date, Duties] = PrivateAttr(default_factory=dict)

    def duties(self, day: date) -> Duties:
        """Return what is asked for on `day`."""
        # Every request asks for those of the same day, so those of the last one are kept.
        if (known := self._duties.get(day)) is not None:
            return known
        found = Duties(tuple(obligation for obligation in self.obligations if obligation.in_force(day)))
        self._duties = {day: found}
        return found

    def does_all_of(self, other: "Ruleset", day: date) -> bool:
        """Tell whether who keeps to these rules keeps to `other` too."""
        return (
            self.duties(day).include(other.duties(day))
            and self.retention_days <= other.retention_days
            and self.consent_valid_days <= other.consent_valid_days
        )

    def strictness(self, day: date) -> tuple[tuple[int, ...], int]:
        """Return what orders regimes, the stricter the higher: obligations, then the shorter retention."""
        return self.duties(day).rank, -self.retention_days


class TextEntry(_Dated):
    """What a rule file says of a text, whose words stand in a file of their own; `locale` is of BCP 47."""

    consent_type: ConsentType
    locale: str = Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    renewal_required: bool


class ConsentText(TextEntry):
    """The words that a person agrees to; `sha256` is of the UTF-8 text as it is served."""

    text: str

    @model_validator(mode="after")
    def _text_is_the_declared_one(self) -> Self:
        if hashlib.sha256(self.text.encode()).hexdigest() != self.sha256:
            # An edited text is another text: people agreed to the old words, not to these.
            raise ValueError(f"the {self.consent_type} text {self.version} was edited; add a new version")
        return self


class RegimeFile(_Data):
    """A file of `regimes/`: one jurisdiction, its rulesets and what is to be known of its texts."""

    code: str = Field(pattern=r"^[a-z][a-z0-9_-]{1,31}$")
    rulesets: tuple[Ruleset, ...] = Field(min_length=1)
    texts: tuple[TextEntry, ...] = Field(min_length=1)


class Regime(_Data):
    """One jurisdiction: its rulesets and its consent texts, earlier ones too."""

    code: str
    rulesets: tuple[Ruleset, ...]
    texts: tuple[ConsentText, ...]

    def ruleset(self, day: date) -> Ruleset:
        """Return the rules in force on `day`; before the first ones, the first ones."""
        return _in_force(self.rulesets, day)

    def texts_of(self, consent_type: str) -> tuple[ConsentText, ...]:
        """Return the texts of a type, newest first."""
        texts = [text for text in self.texts if text.consent_type == consent_type]
        return tuple(sorted(texts, key=lambda text: text.effective_from, reverse=True))

    def current_texts(self, consent_type: str, day: date) -> dict[str, ConsentText]:
        """Return the texts that a person has to be shown on `day`, by language: one version of one text."""
        texts = self.texts_of(consent_type)
        version = _in_force(texts, day).version
        return {
            text.locale: text
            for text in reversed(texts)
            if text.version == version and (text.in_force(day) or text.locale == DEFAULT_LANGUAGE)
        }

    def current_text(self, consent_type: str, day: date, language: str = DEFAULT_LANGUAGE) -> ConsentText:
        """Return that text in a language, in English where it has not been translated."""
        texts = self.current_texts(consent_type, day)
        return texts.get(language) or texts[DEFAULT_LANGUAGE]


class Subdivided(_Data):
    """A country whose regions have laws of their own; `otherwise` is for a region that is not known."""

    regions: dict[str, tuple[str, ...]]
    otherwise: tuple[str, ...]


class Territories(_Dated):
    """Which regimes hold where during one period.

    `default` is for who says nothing of where they are, `unreadable` for who says what can't be read.
    """

    default: tuple[str, ...]
    unreadable: tuple[str, ...]
    countries: dict[str, tuple[str, ...]]
    subdivided: dict[str, Subdivided]

    def regimes(self, country: str | None, region: str | None) -> tuple[str, ...]:
        """Return the regimes of a place, upper-case ISO 3166 codes; total: every input has an answer."""
        if country in self.subdivided:
            entry = self.subdivided[country]
            return entry.regions.get(region or "", entry.otherwise)
        return self.countries.get(country or "", self.default)


class Amendment(_Data):
    """From a day on other regimes hold in some places: `IN`, or `US-LA` for a part of a country."""

    version: str
    effective_from: date
    basis: str
    places: dict[str, tuple[str, ...]]


class World(_Data):
    """The file `territories.json`: which regimes hold where, and how codes and names of places are read."""

    tables: tuple[Territories, ...] = Field(min_length=1)
    amendments: tuple[Amendment, ...]
    aliases: dict[str, str]
    alpha_3: dict[str, str]
    region_names: dict[str, dict[str, str]]

    def all_tables(self) -> tuple[Territories, ...]:
        """Return the tables, with one more for every amendment."""
        tables = list(self.tables)
        for change in sorted(self.amendments, key=lambda amendment: amendment.effective_from):
            tables.append(_amended(_in_force(tuple(tables), change.effective_from), change))
        return tuple(tables)


class Rulebook(_Data):
    """All rules, of all times."""

    tables: tuple[Territories, ...]
    aliases: dict[str, str]
    alpha_3: dict[str, str]
    region_names: dict[str, dict[str, str]]
    regimes: dict[str, Regime]

    @property
    def regime_names(self) -> str:
        """The jurisdictions that a request can name, as a list to read."""
        return ", ".join(sorted(self.regimes))

    def territories(self, day: date) -> Territories:
        """Return the map of the world in force on `day`."""
        return _in_force(self.tables, day)

    @cached_property
    def known_countries(self) -> frozenset[str]:
        """Every ISO 3166-1 alpha-2 code, and what a table maps beside them."""
        mapped = (code for table in self.tables for code in table.countries)
        return frozenset(self.alpha_3.values()).union(mapped)

    def country(self, code: str) -> str:
        """Return the code that this one stands for, upper case; `US-PR` for a territory of a country."""
        two = self.alpha_3.get(code, code)
        return self.aliases.get(two, two)

    @model_validator(mode="after")
    def _every_name_resolves(self) -> Self:
        mapped = {code for table in self.tables for code in _codes(table)}
        covered = {
            code for regime in self.regimes.values() for rules in regime.rulesets for code in rules.covers
        }
        if missing := (mapped | covered) - self.regimes.keys():
            raise ValueError(f"no regime file for: {', '.join(sorted(missing))}")
        return self


def _amended(table: Territories, change: Amendment) -> Territories:
    countries, subdivided = dict(table.countries), dict(table.subdivided)
    for place, codes in change.places.items():
        country, _, region = place.partition("-")
        if not region:
            countries[country] = codes
            continue
        before = subdivided[country]
        regions = {**before.regions, region: codes}
        subdivided[country] = before.model_copy(update={"regions": regions})
    changed = {
        "version": change.version,
        "effective_from": change.effective_from,
        "countries": countries,
        "subdivided": subdivided,
    }
    return Territories(**{**dict(table), **changed})


class _HasPeriod(Protocol):
    @property
    def effective_from(self) -> date: ...

    def in_force(self, day: date) -> bool: ...


_Entry = TypeVar("_Entry", bound=_HasPeriod)


def _in_force(entries: tuple[_Entry, ...], day: date) -> _Entry:
    # Of two that hold, the later one wins. A gap is filled by the nearest earlier entry: no answer at all
    # would mean no rules at all.
    ordered = sorted(entries, key=lambda entry: entry.effective_from)
    holding = [entry for entry in ordered if entry.in_force(day)] or [
        entry for entry in ordered if entry.effective_from <= day
    ]
    return holding[-1] if holding else ordered[0]


def _codes(table: Territories) -> set[str]:
    places = [table.default, table.unreadable, *table.countries.values()]
    for entry in table.subdivided.values():
        places += [entry.otherwise, *entry.regions.values()]
    return {code for place in places for code in place}

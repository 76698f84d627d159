"""The law as data: which regime holds where, what it asks for, and the texts that people agree to.

Nothing here is decided in code: a change of law or wording is a new dated entry in `rules/`.
"""

import hashlib
import json
from datetime import date
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator


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


class Duties(_Data):
    """What a regime obliges us to do; a person under several regimes gets the union."""

    explicit_consent: bool
    purpose_disclosure: bool
    retention_policy: bool
    right_to_withdraw: bool
    written_consent: bool
    retention_schedule: bool
    no_profit_from_data: bool
    notice_at_collection: bool
    opt_out_right: bool
    deletion_right: bool
    data_minimization: bool

    def union(self, other: Self) -> Self:
        """Return the duties of both."""
        mine, theirs = self.model_dump(), other.model_dump()
        return type(self)(**{name: mine[name] or theirs[name] for name in mine})


class RetentionItem(_Data):
    """How long one category of data is kept, and how it ends; `days` is None while the account lives."""

    category: str
    what: str
    days: int | None
    starts: str | None
    ends_earlier_on: tuple[str, ...]
    destruction: str
    basis: str


class Ruleset(_Dated):
    """What one regime asks for during one period."""

    name: str
    strictness: int
    covers: tuple[str, ...]
    duties: Duties
    retention_days: int = Field(gt=0)
    consent_valid_days: int = Field(gt=0)
    retention_schedule: tuple[RetentionItem, ...]

    def does_all_of(self, other: "Ruleset") -> bool:
        """Tell whether who keeps to these rules keeps to `other` too."""
        return (
            self.duties.union(other.duties) == self.duties
            and self.retention_days <= other.retention_days
            and self.consent_valid_days <= other.consent_valid_days
        )


class ConsentText(_Dated):
    """The words that a person agrees to; `sha256` is of the UTF-8 text as it is served."""

    consent_type: str
    locale: str
    sha256: str
    renewal_required: bool
    text: str

    @model_validator(mode="after")
    def _text_is_the_declared_one(self) -> Self:
        if hashlib.sha256(self.text.encode()).hexdigest() != self.sha256:
            # An edited text is another text: people agreed to the old words, not to these.
            raise ValueError(f"the {self.consent_type} text {self.version} was edited; add a new version")
        return self


class Regime(_Data):
    """One jurisdiction: its rulesets and its consent texts, earlier ones too."""

    code: str = Field(pattern=r"^[a-z][a-z0-9_-]{1,31}$")
    rulesets: tuple[Ruleset, ...]
    texts: tuple[ConsentText, ...]

    def ruleset(self, day: date) -> Ruleset:
        """Return the rules in force on `day`; before the first ones, the first ones."""
        return _in_force(self.rulesets, day)

    def texts_of(self, consent_type: str) -> tuple[ConsentText, ...]:
        """Return the texts of a type, newest first."""
        texts = [text for text in self.texts if text.consent_type == consent_type]
        return tuple(sorted(texts, key=lambda text: text.effective_from, reverse=True))

    def current_text(self, consent_type: str, day: date) -> ConsentText:
        """Return the text that a person has to be shown on `day`."""
        return _in_force(self.texts_of(consent_type), day)


class Subdivided(_Data):
    """A country whose regions have laws of their own; `otherwise` is for the unlisted and the unknown."""

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


def load_rulebook(rules: Traversable | None = None) -> Rulebook:
    """Read the rule files, those of this package unless told otherwise; raises `ValueError` when unsound."""
    root = rules or files("consent") / "rules"
    world = _read_json(root / "territories.json")
    regimes = {}
    for file in (root / "regimes").iterdir():
        if file.name.endswith(".json"):
            content = _read_json(file)
            for text in content["texts"]:
                text["text"] = _read_text(root, content["code"], text)
            regimes[content["code"]] = content
    return Rulebook(**world, regimes=regimes)


def _read_json(file: Traversable) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def _read_text(root: Traversable, code: str, text: dict[str, Any]) -> str:
    name = f"{text['version']}.{text['locale']}.txt"
    content: str = (root / "texts" / code / text["consent_type"] / name).read_text(encoding="utf-8")
    return content.rstrip("\n")

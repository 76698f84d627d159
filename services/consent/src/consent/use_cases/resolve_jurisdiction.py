"""Find the laws that a person falls under, and what has to be shown before asking for pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from consent.jurisdictions import (
    Hints,
    Requirements,
    Resolution,
    blocked_under,
    not_necessary_under,
    requirements,
    resolve,
)
from consent.languages import preferred_language
from consent.policy import utc_day
from consent.rulebook import DEFAULT_LANGUAGE, Regime, Rulebook
from contracts.fields import ConsentType


@dataclass(frozen=True)
class ResolvedJurisdiction:
    """What holds on a day, and what follows from it for the pictures of a person."""

    day: date
    resolution: Resolution
    needed: Requirements
    regimes: tuple[Regime, ...]
    languages: tuple[str, ...]
    not_allowed: tuple[ConsentType, ...]
    blocked: tuple[ConsentType, ...]


def resolve_jurisdiction(
    rulebook: Rulebook, hints: Hints, *, languages: str | None, filings: Mapping[str, date], now: datetime
) -> ResolvedJurisdiction:
    """Resolve from all that is known, else to the strict default; `languages` is an `Accept-Language`."""
    day = utc_day(now)
    resolution = resolve(rulebook, hints, day)
    regimes = tuple(rulebook.regimes[code] for code in resolution.jurisdictions)
    written = sorted(regimes[0].current_texts(ConsentType.BIOMETRIC_CAPTURE, day))
    language = preferred_language(languages, written, default=DEFAULT_LANGUAGE)
    located = resolution.located
    return ResolvedJurisdiction(
        day=day,
        resolution=resolution,
        needed=requirements(rulebook, resolution.jurisdictions, ConsentType.BIOMETRIC_CAPTURE, day, language),
        regimes=regimes,
        languages=tuple(written),
        not_allowed=tuple(kind for kind in ConsentType if not_necessary_under(rulebook, located, kind, day)),
        blocked=tuple(kind for kind in ConsentType if blocked_under(rulebook, located, kind, day, filings)),
    )

"""After how many days without an interaction which consents end, read from the published schedule."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from consent.retention import Start
from consent.rulebook import Rulebook
from contracts.fields import ConsentType

RESTS_ON = {"biometric": ConsentType.BIOMETRIC_CAPTURE}
"""The purpose on which what is kept of a category rests; its destruction begins when that consent ends."""


@dataclass(frozen=True)
class IdlePeriod:
    """Consents of a type under any of these jurisdictions end after so many days without an interaction.

    `longest_validity` is the days after which the longest consent of any lapses by itself.
    """

    consent_type: ConsentType
    days: int
    jurisdictions: tuple[str, ...]
    longest_validity: int


def idle_periods(rulebook: Rulebook, day: date) -> tuple[IdlePeriod, ...]:
    """Return the periods of the rules in force on `day`, the shortest first.

    A consent under several regimes is in the period of each, so the shortest ends it. Days that are counted
    from the end of a purpose need no period: the purpose ends with the consent, and so does what rests on it.
    """
    found: dict[tuple[int, ConsentType], set[str]] = defaultdict(set)
    for code, regime in rulebook.regimes.items():
        for item in regime.ruleset(day).retention_schedule:
            if item.days is not None and item.starts is Start.LAST_INTERACTION and item.category in RESTS_ON:
                found[item.days, RESTS_ON[item.category]].add(code)
    rulesets = [ruleset for regime in rulebook.regimes.values() for ruleset in regime.rulesets]
    longest = max(ruleset.consent_valid_days for ruleset in rulesets)
    return tuple(
        IdlePeriod(consent_type, days, tuple(sorted(codes)), longest)
        for (days, consent_type), codes in sorted(found.items())
    )

"""The rules of a person's preferences: what a choice or a signal changes, and when to ask again.

After Cal. Civ. Code 1798.120, 1798.121 and 1798.135, and 11 CCR 7025: a signal is a choice to opt out that
its absence never takes back.
"""

from calendar import isleap
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

_LEAP_DAY = (2, 29)


class OptOutSource(StrEnum):
    """What the state of the opt-out rests on."""

    GPC = "gpc"
    PERSON = "person"


@dataclass(frozen=True)
class Preferences:
    """What holds for a person; a time says since when, None that it does not hold."""

    epoch: int = 0
    opted_out_at: datetime | None = None
    gpc_honored_at: datetime | None = None
    limited_at: datetime | None = None
    source: OptOutSource | None = None
    reprompt_not_before: datetime | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        """The names of what holds, as the API and the event call it."""
        held = {
            "limit_sensitive_data_use": self.limited_at,
            "opt_out_of_sale_and_sharing": self.opted_out_at,
        }
        return tuple(name for name, since in held.items() if since is not None)


class Wish(Protocol):
    """What may change preferences."""

    def applied_to(self, held: Preferences, now: datetime) -> Preferences:
        """Return what holds from `now` on, the same when nothing changes; the epoch is left as it is."""


@dataclass(frozen=True)
class Choice:
    """What a person says themselves, of everything at once."""

    opt_out: bool
    limit: bool

    def applied_to(self, held: Preferences, now: datetime) -> Preferences:
        """Begin what is new, end what is no longer wanted; what was so before keeps its times."""
        opted_out, limited = held.opted_out_at is not None, held.limited_at is not None
        if (self.opt_out, self.limit) == (opted_out, limited):
            return held
        begins = (self.opt_out and not opted_out) or (self.limit and not limited)
        waits = next_year(now) if begins else held.reprompt_not_before
        return replace(
            held,
            opted_out_at=(held.opted_out_at or now) if self.opt_out else None,
            gpc_honored_at=held.gpc_honored_at if self.opt_out else None,
            limited_at=(held.limited_at or now) if self.limit else None,
            source=held.source if self.opt_out == opted_out else OptOutSource.PERSON,
            reprompt_not_before=waits if self.opt_out or self.limit else None,
        )


@dataclass(frozen=True)
class Signal:
    """`Sec-GPC: 1`, which a person's browser or device sends for them (Global Privacy Control)."""

    def applied_to(self, held: Preferences, now: datetime) -> Preferences:
        """Opt out; who had done so already sees that their signal was honoured too."""
        if held.opted_out_at is None:
            return replace(
                held,
                opted_out_at=now,
                gpc_honored_at=now,
                source=OptOutSource.GPC,
                reprompt_not_before=next_year(now),
            )
        return held if held.gpc_honored_at is not None else replace(held, gpc_honored_at=now)


def next_year(moment: datetime) -> datetime:
    """Return the moment twelve months later; of 29 February the next day that there is, 1 March."""
    year = moment.year + 1
    if (moment.month, moment.day) == _LEAP_DAY and not isleap(year):
        return moment.replace(year=year, month=3, day=1)
    return moment.replace(year=year)

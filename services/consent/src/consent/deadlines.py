"""By when laws want a request to be erased to be answered: the earliest of all that hold for a person."""

from calendar import monthrange
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from consent.retention import Deadline
from consent.rulebook import Rulebook

ITEMS = frozenset({"answer", "deletion"})
STARTS = frozenset({"receipt", "authentication"})
"""Whoever asks has signed in, or has followed a mailed link: who they are is known with the request."""


def erasure_deadline(rulebook: Rulebook, regimes: Iterable[str], requested_at: datetime) -> datetime | None:
    """Return the earliest deadline, by the rules of the day of the request; None where none says one.

    A regime that is unknown here says none. No extension is counted: none is needed.
    """
    day = requested_at.astimezone(UTC).date()
    due = [
        _end(deadline, requested_at)
        for code in regimes
        if code in rulebook.regimes
        for deadline in rulebook.regimes[code].ruleset(day).deadlines
        if deadline.item in ITEMS and deadline.starts in STARTS
    ]
    return min(due, default=None)


def _end(deadline: Deadline, start: datetime) -> datetime:
    if deadline.unit == "months":
        return _months_later(start, deadline.within)
    # Business days are read as calendar days: too early harms nobody.
    return start + timedelta(days=deadline.within)


def _months_later(start: datetime, months: int) -> datetime:
    """Return the same day of a later month, or its last one (Regulation 1182/71, Article 3(2)(c))."""
    year, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + year, month + 1
    return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))

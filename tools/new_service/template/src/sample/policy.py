"""The rules of entries, without a database."""

from chassis.problems import Problem

MOST_ENTRIES = 1000


class TooManyEntries(Problem, status=409, title="Too many entries"):
    """The person has as many entries as anybody may have."""

    detail = f"You have {MOST_ENTRIES} entries, and can add no more."


def require_room(entries: int) -> None:
    """Raise `TooManyEntries` for who has so many entries that no other may follow."""
    if entries >= MOST_ENTRIES:
        raise TooManyEntries

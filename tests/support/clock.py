"""A clock that stands still until it is told to move."""

from datetime import UTC, datetime, timedelta


class FrozenClock:
    """Starts at the machine's present moment and moves only by `advance`."""

    def __init__(self, moment: datetime | None = None) -> None:
        self._moment = moment or datetime.now(UTC)

    def now(self) -> datetime:
        """Return the moment at which the clock stands."""
        return self._moment

    def advance(self, by: timedelta) -> None:
        """Move forward, or back with a negative `by`."""
        self._moment += by

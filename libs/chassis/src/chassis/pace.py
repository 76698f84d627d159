"""The pace of what is done again and again: at once after a rest, and no more often than it has to be."""

import asyncio


class Pace:
    """At least `seconds` lie between one turn and the next, so that a turn takes what has gathered.

    Whoever comes after a rest of that length waits for nothing.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next turn, and begin it."""
        clock = asyncio.get_running_loop().time
        rest = self._next - clock()
        if rest > 0:
            await asyncio.sleep(rest)
        self._next = clock() + self._seconds

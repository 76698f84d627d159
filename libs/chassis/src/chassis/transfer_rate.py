"""How slow a transfer may be: who is slower than that holds a place that belongs to everybody."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from chassis.time_limit import time_limit

LEAST_BYTES_PER_SECOND = 8_000
GRACE_SECONDS = 10.0
"""How long a transfer may stand still, or stay behind the least speed, before it is ended."""
LONGEST_TRANSFER_SECONDS = 900.0
"""The absolute end of one transfer, however fast it is."""


class TooSlow(Exception):
    """The other side moves fewer bytes than the least speed asks for."""


class TransferRate:
    """Patience with one side of a transfer: waiting uses it up, bytes that arrive give it back.

    It starts full and never grows beyond the grace, so that a fast beginning does not pay for a standstill.
    """

    def __init__(
        self,
        *,
        least_bytes_per_second: float | None = None,
        grace_seconds: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._least = LEAST_BYTES_PER_SECOND if least_bytes_per_second is None else least_bytes_per_second
        self._grace = GRACE_SECONDS if grace_seconds is None else grace_seconds
        self._monotonic = monotonic
        self.patience = self._grace

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Wait for the other side in this block; raises `TooSlow` when patience (in seconds) ends."""
        started = self._monotonic()
        try:
            async with time_limit(self.patience, TooSlow):
                yield
        finally:
            self.count(waited=self._monotonic() - started)

    def count(self, *, waited: float = 0.0, moved: int = 0) -> None:
        """Take `waited` seconds off the patience, and give back what `moved` bytes are worth."""
        self.patience = min(self._grace, self.patience - waited + moved / self._least)

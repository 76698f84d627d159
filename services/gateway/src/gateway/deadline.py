"""When an exchange ends: whoever's turn it is has a time for it, and all of it has an end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis import transfer_rate


class Deadline:
    """A deadline that follows progress: it runs while the service is silent, not while the client moves.

    How slow the client may be is its pace's matter. The service has `service_seconds` from its last sign of
    life; the whole exchange ends after `transfer_rate.LONGEST_TRANSFER_SECONDS` at the latest.
    """

    def __init__(self, service_seconds: float) -> None:
        self._service_seconds = service_seconds
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + transfer_rate.LONGEST_TRANSFER_SECONDS
        self._limit = asyncio.timeout(None)
        self.waits_for_client = False

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Run the block; raises TimeoutError when its time is over."""
        async with self._limit:
            self.service_turn()
            yield

    def service_turn(self) -> None:
        """Begin to wait for the service."""
        self.waits_for_client = False
        self._run_until(self._loop.time() + self._service_seconds)

    def client_turn(self) -> None:
        """Begin to wait for the client."""
        self.waits_for_client = True
        self._run_until(self._end)

    def end(self) -> None:
        """Give up at once, whoever's turn comes next."""
        self._end = self._loop.time()
        self._run_until(self._end)

    def _run_until(self, moment: float) -> None:
        self._limit.reschedule(min(moment, self._end))

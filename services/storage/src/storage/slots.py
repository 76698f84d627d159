"""A bound on how many photos are in memory at once, with a bounded wait for a place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from storage.policy import TooBusy

WAIT_SECONDS = 5.0


class Slots:
    """So many places; who finds none in time is sent away."""

    def __init__(self, number: int, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._free = asyncio.Semaphore(number)
        self._wait_seconds = wait_seconds

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Hold a place for the length of the block; raises `TooBusy`."""
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise TooBusy from None
        try:
            yield
        finally:
            self._free.release()

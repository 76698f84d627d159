"""How many transfers one person may have under way, and how many bytes of pictures are in memory at once.

What all share, no one can hold: whoever is slow waits for themselves, and memory is counted in bytes that are
there, not in connections that may never send or take any.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID
from weakref import WeakValueDictionary

from storage.policy import TooBusy

WAIT_SECONDS = 5.0
UNIT_BYTES = 64 * 1024


class MemoryShare:
    """The bytes that one transfer holds; they are given back when it ends."""

    def __init__(self, transfers: "Transfers") -> None:
        self._transfers = transfers
        self._units = 0
        self._bytes = 0

    async def grow(self, number: int) -> None:
        """Hold `number` more bytes; raises `TooBusy` when they do not become free in time."""
        self._bytes += number
        wanted = -(-self._bytes // UNIT_BYTES) - self._units
        if wanted > 0:
            self._units += await self._transfers.take(wanted)

    def release(self) -> None:
        """Give everything back."""
        self._transfers.give(self._units)
        self._units = self._bytes = 0


class Transfers:
    """Uploads, or reads: so many bytes for everybody, so many at once for each person."""

    def __init__(self, *, memory_bytes: int, per_person: int, wait_seconds: float = WAIT_SECONDS) -> None:
        self._free = asyncio.Semaphore(memory_bytes // UNIT_BYTES)
        self._one_taker = asyncio.Lock()
        self._per_person = per_person
        self._people: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()
        self._wait_seconds = wait_seconds

    @asynccontextmanager
    async def of(self, user_id: UUID) -> AsyncIterator[MemoryShare]:
        """Have one transfer of a person under way for the length of the block.

        Raises `TooBusy` when the person's others do not end in time; nobody else waits for them.
        """
        places = self._people.setdefault(user_id, asyncio.Semaphore(self._per_person))
        async with self._in_time():
            await places.acquire()
        share = MemoryShare(self)
        try:
            yield share
        finally:
            share.release()
            places.release()

    async def take(self, units: int) -> int:
        """Take units of memory, all or none; raises `TooBusy`."""
        taken = 0
        try:
            async with self._in_time(), self._one_taker:
                # One at a time: two that each hold half of what they need would wait for each other.
                while taken < units:
                    await self._free.acquire()
                    taken += 1
        finally:
            if taken < units:
                self.give(taken)
        return taken

    def give(self, units: int) -> None:
        """Give units of memory back."""
        for _ in range(units):
            self._free.release()

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        limit = asyncio.timeout(self._wait_seconds)
        try:
            async with limit:
                yield
        except TimeoutError:
            if limit.expired():
                raise TooBusy from None
            raise

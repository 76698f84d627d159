"""How many transfers one person may have under way, and how many bytes of pictures are in memory at once.

What all share, no one can hold: whoever is slow waits for themselves, and memory is counted in bytes that are
there, not in connections that may never send or take any. Where it runs short, whoever moves slowest gives
theirs back, because a transfer can be repeated.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID
from weakref import WeakValueDictionary

from chassis.time_limit import time_limit
from chassis.transfer_rate import TransferRate
from storage.policy import TooBusy

WAIT_SECONDS = 5.0
UNIT_BYTES = 64 * 1024
CROWDED_BYTES_PER_SECOND = 50_000
CROWDED_GRACE_SECONDS = 2.0
"""How fast a transfer must be, and how far it may stay behind, to keep its memory while others need it."""
SLOW_SECONDS = 0.5
LOOK_SECONDS = 0.1


class MadeRoom(Exception):
    """The transfer waited for its client while others needed its memory."""


class MemoryShare:
    """The bytes that one transfer holds; they are given back when it ends."""

    def __init__(self, transfers: "Transfers", turn: asyncio.Lock) -> None:
        self._transfers = transfers
        self._turn = turn
        self._units = 0
        self._bytes = 0
        self._loop = asyncio.get_running_loop()
        self._rate = TransferRate(
            least_bytes_per_second=CROWDED_BYTES_PER_SECOND, grace_seconds=CROWDED_GRACE_SECONDS
        )
        self._waiting: tuple[float, asyncio.Timeout] | None = None

    @asynccontextmanager
    async def client_turn(self) -> AsyncIterator[None]:
        """Wait for the client in this block; raises `MadeRoom` when others need the memory meanwhile."""
        began = self._loop.time()
        try:
            async with time_limit(None, MadeRoom) as limit:
                self._waiting = began, limit
                yield
        finally:
            self._waiting = None
            self._rate.count(waited=self._loop.time() - began)

    def moved(self, number: int) -> None:
        """Note that so many bytes have come from the client, or have gone to it."""
        self._rate.count(moved=number)

    @property
    def lag(self) -> float:
        """How many seconds behind the speed of a crowd it is; 0 for what holds nothing or waits for us."""
        if self._waiting is None or not self._units:
            return 0.0
        return CROWDED_GRACE_SECONDS - self._rate.patience + self._loop.time() - self._waiting[0]

    def end(self) -> None:
        """Let the transfer end at once, which gives its memory back."""
        if self._waiting is not None:
            self._waiting[1].reschedule(self._loop.time())
            self._waiting = None

    async def grow(self, number: int) -> None:
        """Hold `number` more bytes; raises `TooBusy` when they do not become free in time."""
        self._bytes += number
        wanted = -(-self._bytes // UNIT_BYTES) - self._units
        if wanted > 0:
            # Of one person's transfers one waits in the line that all share.
            self._units += await self._transfers.take(wanted, self._turn)

    def shrink(self, number: int) -> None:
        """Give `number` bytes back, which are in memory no more."""
        self._bytes -= number
        surplus = self._units - -(-self._bytes // UNIT_BYTES)
        if surplus > 0:
            self._transfers.give(surplus)
            self._units -= surplus

    def release(self) -> None:
        """Give everything back."""
        self._transfers.give(self._units)
        self._units = self._bytes = 0


class _Person:
    """The places of one person, and their turn in the line for memory."""

    def __init__(self, places: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.turn = asyncio.Lock()


class Transfers:
    """Uploads, or reads: so many bytes for everybody, so many at once for each person."""

    def __init__(self, *, memory_bytes: int, per_person: int, wait_seconds: float = WAIT_SECONDS) -> None:
        self._free = asyncio.Semaphore(memory_bytes // UNIT_BYTES)
        self._one_taker = asyncio.Lock()
        self._per_person = per_person
        self._people: WeakValueDictionary[UUID, _Person] = WeakValueDictionary()
        self._shares: set[MemoryShare] = set()
        self._wait_seconds = wait_seconds

    @asynccontextmanager
    async def of(self, user_id: UUID) -> AsyncIterator[MemoryShare]:
        """Have one transfer of a person under way for the length of the block.

        Raises `TooBusy` when the person's others do not end in time; nobody else waits for them.
        """
        person = self._people.setdefault(user_id, _Person(self._per_person))
        async with time_limit(self._wait_seconds, TooBusy):
            await person.places.acquire()
        share = MemoryShare(self, person.turn)
        self._shares.add(share)
        try:
            yield share
        finally:
            self._shares.remove(share)
            share.release()
            person.places.release()

    async def take(self, units: int, turn: asyncio.Lock) -> int:
        """Take units of memory, all or none; raises `TooBusy`."""
        taken = 0
        try:
            async with time_limit(self._wait_seconds, TooBusy), turn, self._one_taker:
                # One at a time: two that each hold half of what they need would wait for each other.
                while taken < units:
                    if self._free.locked():
                        await self._wait_for_room()
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

    async def _wait_for_room(self) -> None:
        """Return when a unit is free; end the slowest transfer, one after the other, as long as none is."""
        while self._free.locked():
            slowest = max(self._shares, key=lambda share: share.lag)
            if slowest.lag >= SLOW_SECONDS:
                slowest.end()
            await asyncio.sleep(LOOK_SECONDS)

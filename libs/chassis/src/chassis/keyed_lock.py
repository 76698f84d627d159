"""Taking turns: of many requests about one thing, one at a time asks the database.

The database decides what is right; this only keeps the others from each holding a connection while they
wait for it, so that a phone that sends twenty refreshes at once does not use up the pool.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class KeyedLock:
    """One queue per thing, for as long as somebody stands in it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for the others that came before about the same thing."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            yield

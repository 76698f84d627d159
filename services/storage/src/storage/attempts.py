"""Uploads under way in this process: the newest attempt over a link ends the older one.

A phone that has changed its network sends again while its old connection hangs half open; the old attempt
must not keep its place until somebody notices. Between processes the attempt's number in its row decides.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from chassis.time_limit import time_limit
from storage.policy import UploadOvertaken


class Attempts:
    """The attempts under way, by photo."""

    def __init__(self) -> None:
        self._running: dict[UUID, tuple[asyncio.Timeout, asyncio.Event]] = {}

    @asynccontextmanager
    async def newest(self, photo_id: UUID) -> AsyncIterator[None]:
        """Be the newest attempt for the length of the block, once the older one has let go.

        Raises `UploadOvertaken` in the block when a newer one begins.
        """
        older = self._running.get(photo_id)
        async with time_limit(None, UploadOvertaken) as limit:
            mine = limit, asyncio.Event()
            self._running[photo_id] = mine
            try:
                if older is not None:
                    await _end(*older)
                yield
            finally:
                mine[1].set()
                if self._running.get(photo_id) == mine:
                    del self._running[photo_id]


async def _end(limit: asyncio.Timeout, ended: asyncio.Event) -> None:
    if not ended.is_set():
        if not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time())
        await ended.wait()

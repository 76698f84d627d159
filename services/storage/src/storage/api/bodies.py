"""The bodies of uploads as they arrive: bounded in size, in memory and in how slowly they may come."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from chassis.transfer_rate import LONGEST_TRANSFER_SECONDS, TooSlow, TransferRate
from storage.policy import PhotoTooLarge, UploadInterrupted
from storage.transfers import MadeRoom, MemoryShare


def announced_length(request: Request, *, limit: int) -> int | None:
    """Return how many bytes the request says that it brings, None when it does not say.

    Raises `PhotoTooLarge` for more than `limit`.
    """
    announced = request.headers.get("content-length")
    if announced is None:
        return None if "transfer-encoding" in request.headers else 0
    if not announced.isdigit() or int(announced) > limit:
        raise PhotoTooLarge.of_bytes(limit)
    return int(announced)


class ArrivingBody:
    """One body; its deadline follows its progress, so that a slow line only takes longer."""

    def __init__(self, request: Request, memory: MemoryShare, *, limit: int) -> None:
        self._stream = request.stream()
        self._memory = memory
        self._limit = limit
        self._received = 0
        self._rate = TransferRate()
        self._until = asyncio.get_running_loop().time() + LONGEST_TRANSFER_SECONDS

    async def read(self) -> bytes | None:
        """Return what has come next, counted in memory; None at the end.

        Raises `PhotoTooLarge`, `TooBusy`, and `UploadInterrupted` for a body that stalls or breaks off.
        """
        try:
            async with (
                asyncio.timeout_at(self._until),
                self._rate.waiting(),
                self._memory.client_turn(),
            ):
                came = await anext(self._stream, None)
        except (ClientDisconnect, TooSlow, MadeRoom, TimeoutError):
            raise UploadInterrupted from None
        if came is None:
            return None
        self._received += len(came)
        if self._received > self._limit:
            raise PhotoTooLarge.of_bytes(self._limit)
        await self._memory.grow(len(came))
        self._rate.count(moved=len(came))
        self._memory.moved(len(came))
        return came

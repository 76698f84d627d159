"""One way to end a block in time, with the refusal that its caller expects."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def time_limit(seconds: float | None, refusal: type[Exception]) -> AsyncIterator[asyncio.Timeout]:
    """Raise `refusal` in the block once its time is over; None waits until the given limit is rescheduled.

    A TimeoutError of the block's own is passed on: it says something else.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield limit
    except TimeoutError:
        if limit.expired():
            raise refusal from None
        raise

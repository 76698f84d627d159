"""Answers that take as long whatever they found."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def timing_floor(seconds: float) -> AsyncIterator[None]:
    """Let the block take `seconds` or more, so that a shorter path through it is not seen on the clock."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        yield
    finally:
        await asyncio.sleep(began + seconds - clock())

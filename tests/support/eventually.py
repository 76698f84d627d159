"""Waiting for something that another process or task does, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.05


async def eventually(check: Callable[[], Awaitable[T]], *, seconds: float = 10.0) -> T:
    """Return what `check` returns as soon as it raises no AssertionError; its last one when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await check()
        except AssertionError:
            if time.monotonic() >= deadline:
                raise
        await asyncio.sleep(PAUSE_SECONDS)

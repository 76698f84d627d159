"""A limit ends a block with the refusal that was named, and swallows nothing else."""

import asyncio

import pytest

from chassis.time_limit import time_limit


class Refused(Exception):
    pass


async def test_block_that_is_late_is_refused() -> None:
    with pytest.raises(Refused):
        async with time_limit(0, Refused):
            await asyncio.Event().wait()


async def test_limit_without_a_time_ends_the_block_when_it_is_told_to() -> None:
    async def over_at_once() -> None:
        async with time_limit(None, Refused) as limit:
            limit.reschedule(asyncio.get_running_loop().time())
            await asyncio.Event().wait()

    with pytest.raises(Refused):
        await over_at_once()


async def test_time_out_of_the_block_itself_stays_what_it_is() -> None:
    with pytest.raises(TimeoutError):
        async with time_limit(1, Refused):
            raise TimeoutError


async def test_block_that_is_cancelled_stays_cancelled() -> None:
    async def waiting() -> None:
        async with time_limit(60, Refused):
            await asyncio.Event().wait()

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

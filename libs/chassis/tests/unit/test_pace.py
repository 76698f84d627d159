"""The pace of what is done again and again."""

import asyncio

import pytest

from chassis.pace import Pace

LONG, SHORT = 30.0, 0.01


async def test_first_turn_waits_for_nothing() -> None:
    async with asyncio.timeout(LONG / 2):
        await Pace(LONG).turn()


async def test_next_turn_waits_until_its_time() -> None:
    pace = Pace(LONG)
    await pace.turn()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT):
            await pace.turn()


async def test_turns_lie_apart() -> None:
    pace, clock = Pace(SHORT), asyncio.get_running_loop().time
    began = clock()
    for _ in range(4):
        await pace.turn()
    assert clock() - began >= 3 * SHORT

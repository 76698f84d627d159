"""Slots: a bound on what is in memory, and on how long one waits for it."""

import pytest

from storage.policy import TooBusy
from storage.slots import Slots


async def test_who_finds_no_place_in_time_is_sent_away() -> None:
    slots = Slots(1, wait_seconds=0.01)
    async with slots.taken():
        with pytest.raises(TooBusy):
            async with slots.taken():
                pytest.fail("two in one place")
    async with slots.taken():
        pass


async def test_a_place_is_free_again_after_a_failure() -> None:
    slots = Slots(1, wait_seconds=0.01)
    with pytest.raises(ZeroDivisionError):
        async with slots.taken():
            raise ZeroDivisionError
    async with slots.taken():
        pass

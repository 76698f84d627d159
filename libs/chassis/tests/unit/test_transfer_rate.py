"""Least speed: who keeps it is never cut, who stays below it is, soon."""

import asyncio

import pytest

from chassis.transfer_rate import GRACE_SECONDS, LEAST_BYTES_PER_SECOND, TooSlow, TransferRate


def seconds_until_cut(bytes_per_second: float, *, at_most: int = 1000) -> int | None:
    rate = TransferRate()
    for second in range(at_most):
        if rate.patience <= 0:
            return second
        rate.count(waited=1, moved=int(bytes_per_second))
    return None


def test_line_of_half_a_megabit_is_never_cut() -> None:
    assert seconds_until_cut(62_500) is None


def test_exactly_the_least_speed_is_enough() -> None:
    assert seconds_until_cut(LEAST_BYTES_PER_SECOND) is None


@pytest.mark.parametrize(("speed", "expected"), [(0, 10), (4_000, 20), (7_000, 80)])
def test_slower_than_the_least_speed_ends_after_the_grace(speed: int, expected: int) -> None:
    assert seconds_until_cut(speed) == expected


def test_fast_beginning_does_not_pay_for_a_standstill() -> None:
    rate = TransferRate()
    rate.count(waited=1, moved=8_000_000)
    assert rate.patience == GRACE_SECONDS


async def test_waiting_ends_with_the_patience() -> None:
    rate = TransferRate(grace_seconds=0.05)
    with pytest.raises(TooSlow):
        async with rate.waiting():
            await asyncio.Event().wait()


async def test_time_out_of_something_else_stays_what_it_is() -> None:
    with pytest.raises(TimeoutError):
        async with TransferRate().waiting():
            raise TimeoutError

"""How a window slides in Redis."""

import asyncio

import pytest
from limits import parse
from redis.asyncio import Redis

from chassis.counters import Counters, QuotaExceeded, counts_of

HOUR = 3_600_000
HALF = HOUR // 2 + 60_000
"""A minute more, so that the time which a test takes changes no number."""
LIMITS = {"tries": parse("10/hour"), "all-tries": parse("12/hour")}


@pytest.fixture
async def redis(servers):
    async with Redis.from_url(servers.redis_url, decode_responses=True) as client:
        await client.flushdb()
        yield client


@pytest.fixture
def counters(redis):
    return Counters(redis, LIMITS, keys=counts_of("test"), secret=bytes(32))


async def keys_of(redis):
    """Return the keys of the previous and of the current window of the only caller."""
    (current,) = [key async for key in redis.scan_iter("*") if not key.endswith("/-1")]
    return f"{current}/-1", current


async def test_window_that_is_over_counts_for_less_the_older_it_is(redis, counters):
    await counters.take("tries", "somebody")
    previous, current = await keys_of(redis)
    await redis.set(current, 6, px=HALF)
    standing = await counters.take("tries", "somebody")
    assert (standing.allowed, standing.remaining) == (True, 10 - 3 - 1)
    assert await redis.get(previous) == "6"
    assert await redis.get(current) == "1"
    assert HOUR < await redis.pttl(current) <= HOUR + HALF
    # One of the six is worth ten minutes of an hour.
    assert standing.reset_seconds <= 60


@pytest.mark.parametrize(
    ("before", "now", "allowed"), [(10, 4, True), (10, 5, False), (9, 5, True), (0, 9, True), (0, 10, False)]
)
async def test_both_windows_together_keep_the_limit(redis, counters, before, now, allowed):
    await counters.take("tries", "somebody")
    previous, current = await keys_of(redis)
    await redis.set(previous, before, px=HALF)
    await redis.set(current, now, px=HOUR + HALF)
    assert (await counters.take("tries", "somebody")).allowed is allowed
    assert int(await redis.get(current)) == now + allowed


async def test_caller_that_was_away_for_two_windows_begins_anew(redis, counters):
    for _ in range(10):
        await counters.spend("tries", "somebody")
    with pytest.raises(QuotaExceeded):
        await counters.spend("tries", "somebody")
    await redis.delete(*await keys_of(redis))
    standing = await counters.take("tries", "somebody")
    assert (standing.remaining, standing.reset_seconds) == (9, 3600)


async def test_limit_that_refuses_is_the_last_that_counts(counters):
    both = [("tries", "line"), ("all-tries", "site")]
    for left in range(9, -1, -1):
        first, second = await counters.take_all(both)
        assert (first.remaining, second.remaining) == (left, left + 2)
    (refused,) = await counters.take_all(both)
    assert not refused.allowed
    standing = await counters.take("all-tries", "site")
    assert standing.remaining == 1


async def test_script_that_redis_has_lost_is_loaded_again(redis, counters):
    await counters.spend("tries", "somebody")
    await redis.script_flush()
    standing = await counters.take("tries", "somebody")
    assert (standing.allowed, standing.remaining) == (True, 8)


async def test_those_who_ask_at_the_same_time_share_a_round_trip_and_nobody_elses_refusal(redis, counters):
    await counters.take("tries", "somebody")
    before = await redis.info("commandstats")
    both = [("tries", "line"), ("all-tries", "site")]
    everybody = [both] * 20 + [[("tries", f"other {number}")] for number in range(20)]
    standings = await asyncio.gather(*(counters.take_all(asked) for asked in everybody))
    after = await redis.info("commandstats")
    assert after["cmdstat_evalsha"]["calls"] - before["cmdstat_evalsha"]["calls"] <= 2
    assert [len(found) for found in standings] == [2] * 10 + [1] * 10 + [1] * 20
    assert [found[-1].allowed for found in standings] == [True] * 10 + [False] * 10 + [True] * 20


async def test_who_stops_waiting_takes_nobody_along(counters):
    left = asyncio.create_task(counters.take("tries", "somebody"))
    stays = asyncio.create_task(counters.take("tries", "somebody"))
    # Both have asked by then.
    asyncio.get_running_loop().call_soon(left.cancel)
    assert (await stays).allowed
    assert left.cancelled()

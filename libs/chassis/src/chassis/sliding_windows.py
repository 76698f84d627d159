"""Sliding windows in Redis: how much of a limit is used, counted for many callers in one round trip."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from limits import RateLimitItem
from redis.asyncio import Redis

from chassis.declarations import Place

MOST_AT_ONCE = 64
"""Questions that share a round trip; Redis answers nobody else meanwhile."""
_TAKE = """
local windows, refused = {}, false
for i = 1, #KEYS / 2 do
    local previous, current = KEYS[2 * i - 1], KEYS[2 * i]
    local amount, span = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
    refused = refused and ARGV[3 * i] == '0'
    windows[i] = {}
    if not refused then
        local left = redis.call('pttl', current)
        if left > 0 and left < span then
            redis.call('rename', current, previous)
            left = left + span
            redis.call('set', current, 0, 'px', left)
        end
        local before = tonumber(redis.call('get', previous)) or 0
        local before_left = math.max(redis.call('pttl', previous), 0)
        local count = tonumber(redis.call('get', current)) or 0
        refused = math.floor(before * before_left / span) + count >= amount
        if not refused and left > 0 then
            count = redis.call('incrby', current, 1)
        elseif not refused then
            count, left = 1, span * 2
            redis.call('set', current, count, 'px', left)
        end
        windows[i] = {refused and 0 or 1, before, before_left, count, left}
    end
end
return windows
"""
"""Counts in order; the arguments of each pair of keys end with 1 where another question begins.

Within one question nothing is counted after the first limit that refuses. A window is two keys: `current`
lives for two spans and becomes `previous` after the first. What `previous` holds counts for less the older it
is. Times are milliseconds of the server's clock.
"""


@dataclass(frozen=True, slots=True)
class Window:
    """What one limit says."""

    allowed: bool
    remaining: int
    reset_seconds: int


@dataclass(frozen=True, slots=True)
class _Question:
    counted: Sequence[tuple[str, RateLimitItem]]
    answer: "asyncio.Future[list[Window]]"


class SlidingWindows:
    """Counts in Redis; what is asked while a question is under way shares the next one.

    So a burst opens no connections, and costs a round trip for all of it.
    """

    def __init__(self, redis: Redis, keys: Place) -> None:
        self._redis = redis
        self._prefix = keys.name.removesuffix(":*")
        self._script = redis.register_script(_TAKE)
        self._waiting: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None

    async def take(self, counted: Sequence[tuple[str, RateLimitItem]]) -> list[Window]:
        """Count one event under each (key, limit), up to the first that is not allowed.

        Raises what the client raises when Redis does not answer.
        """
        question = _Question(counted, asyncio.get_running_loop().create_future())
        self._waiting.append(question)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="count-in-redis")
        return await question.answer

    async def clear(self, key: str) -> None:
        """Begin to count anew."""
        await self._redis.delete(*self._keys(key))

    async def _ask(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            try:
                rows = iter(await self._script(*self._arguments(asked)))
            except Exception as error:  # noqa: BLE001 - all who asked learn it; who waits would wait in vain
                asked, self._waiting = [*asked, *self._waiting], []
                for question in asked:
                    if not question.answer.done():
                        question.answer.set_exception(error)
                return
            for question in asked:
                limits = [limit for _, limit in question.counted]
                told = zip(limits, islice(rows, len(limits)), strict=True)
                windows = [_window(limit, *row) for limit, row in told if row]
                if not question.answer.done():
                    question.answer.set_result(windows)

    def _arguments(self, asked: Sequence[_Question]) -> tuple[list[str], list[int]]:
        keys: list[str] = []
        numbers: list[int] = []
        for question in asked:
            for place, (key, limit) in enumerate(question.counted):
                keys += self._keys(key)
                numbers += [limit.amount, limit.get_expiry() * 1000, int(place == 0)]
        return keys, numbers

    def _keys(self, key: str) -> list[str]:
        current = f"{self._prefix}:{{{key}}}"
        return [f"{current}/-1", current]


def _window(
    limit: RateLimitItem, allowed: int, before: int, before_left: int, count: int, left: int
) -> Window:
    span = limit.get_expiry() * 1000
    remaining = max(0, limit.amount - math.floor(before * before_left / span + count))
    # A window that has just begun has all of its time left, and not none.
    freed_in = min(
        before_left % (span / before) if before else math.inf, (left - 1) % span + 1 if count else math.inf
    )
    return Window(bool(allowed), remaining, max(1, math.ceil(min(freed_in, span) / 1000)))

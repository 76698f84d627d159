"""How often something may happen in a time: counted in Redis, or here, more strictly, when Redis is away."""

import asyncio
import hashlib
import hmac
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import structlog
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import StorageTypes
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from chassis.problems import Problem
from chassis.transactions import outside_transactions

REDIS_TIMEOUT_SECONDS = 0.25
REDIS_CONNECTIONS = 16
RETRY_REDIS_SECONDS = 2.0
"""While Redis is away it is asked again at most this often, so that an outage does not slow every request."""
LOCAL_SHARE = 2
"""Without Redis each process counts alone, so it allows only this fraction (1/2) of the numbers."""
_KEY_PURPOSE = b"irisvue rate limit identifiers"
_TAKE = """
local standings = {}
for i = 1, #KEYS, 2 do
    local previous, current = KEYS[i], KEYS[i + 1]
    local amount, window = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
    local left = redis.call('pttl', current)
    if left > 0 and left < window then
        redis.call('rename', current, previous)
        left = left + window
        redis.call('set', current, 0, 'px', left)
    end
    local before = tonumber(redis.call('get', previous)) or 0
    local before_left = math.max(redis.call('pttl', previous), 0)
    local count = tonumber(redis.call('get', current)) or 0
    local allowed = math.floor(before * before_left / window) + count < amount
    if allowed and left > 0 then
        count = redis.call('incrby', current, 1)
    elseif allowed then
        count, left = 1, window * 2
        redis.call('set', current, count, 'px', left)
    end
    standings[#standings + 1] = {allowed and 1 or 0, before, before_left, count, left}
    if not allowed then break end
end
return standings
"""
"""Counts in one round trip what a request is counted for, up to the first limit that refuses it.

A window is two keys: `current` lives for two windows and becomes `previous` after the first. What `previous`
holds counts for less the older it is. Times are milliseconds of the server's clock.
"""

log = structlog.get_logger(__name__)


class QuotaExceeded(Problem):
    """The caller used up what it may do in this time."""

    status = 429
    slug = "quota-exceeded"
    title = "Too many requests"

    def __init__(self, policy: str, retry_after: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(
            f"Too many requests in a short time. Try again in {retry_after} seconds.",
            headers={**(headers or {}), "Retry-After": str(retry_after), "Cache-Control": "no-store"},
            extra={"violated-policies": [policy]},
        )


@dataclass(frozen=True)
class Standing:
    """What the caller has left."""

    limit: RateLimitItem
    allowed: bool
    remaining: int
    reset_seconds: int


class Counters:
    """Sliding-window counters by name and caller; never open, whatever happens to Redis."""

    def __init__(
        self,
        redis: Redis,
        limits: Mapping[str, RateLimitItem],
        *,
        prefix: str,
        secret: bytes,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`secret` keys the hashes under which callers are counted: Redis holds no address and no user id."""
        self._limits = limits
        self._stricter = {name: _share_of(limit) for name, limit in limits.items()}
        self._hash_key = hmac.digest(secret, _KEY_PURPOSE, "sha256")
        self._monotonic = monotonic
        self._prefix = f"{prefix}:limits"
        self._redis = redis
        self._take_in_redis = redis.register_script(_TAKE)
        self._local = SlidingWindowCounterRateLimiter(cast("StorageTypes", MemoryStorage()))
        self._ask_redis_at = float("-inf")
        self._redis_slots = asyncio.Semaphore(REDIS_CONNECTIONS)

    async def take(self, name: str, caller: str) -> Standing:
        """Count one event of `caller` under the limit `name`, and say how it stands."""
        return (await self.take_all([(name, caller)]))[0]

    async def take_all(self, counted: Sequence[tuple[str, str]]) -> list[Standing]:
        """Count one event under each (limit, caller) in order, and say how they stand.

        The first that is not allowed is the last that is counted.
        """
        outside_transactions("Redis")
        known = [(name, self._identifier(caller)) for name, caller in counted]
        # A burst must not open a connection per request: in the rush of handshakes all of them would be late.
        async with self._redis_slots:
            if self._monotonic() >= self._ask_redis_at:
                try:
                    return await self._take_shared(known)
                except (RedisError, OSError) as error:
                    self._redis_is_away(error)
        return await self._take_here(known)

    async def _take_shared(self, counted: Sequence[tuple[str, str]]) -> list[Standing]:
        keys, numbers = [], []
        for name, identifier in counted:
            limit = self._limits[name]
            keys += self._keys(limit, name, identifier)
            numbers += [limit.amount, limit.get_expiry() * 1000]
        rows = await self._take_in_redis(keys=keys, args=numbers)
        return [_standing(self._limits[name], *row) for (name, _), row in zip(counted, rows, strict=False)]

    async def _take_here(self, counted: Sequence[tuple[str, str]]) -> list[Standing]:
        standings: list[Standing] = []
        for name, identifier in counted:
            limit = self._stricter[name]
            allowed = await self._local.hit(limit, name, identifier)
            window = await self._local.get_window_stats(limit, name, identifier)
            reset = max(1, math.ceil(window.reset_time - time.time()))
            standings.append(Standing(limit, allowed, window.remaining, reset))
            if not allowed:
                break
        return standings

    async def spend(self, name: str, caller: str) -> None:
        """Count one event; raises `QuotaExceeded` when it was one too many."""
        standing = await self.take(name, caller)
        if not standing.allowed:
            raise QuotaExceeded(name, standing.reset_seconds)

    async def forgive(self, name: str, caller: str) -> None:
        """Begin to count `caller` anew."""
        outside_transactions("Redis")
        identifier = self._identifier(caller)
        await self._local.clear(self._stricter[name], name, identifier)
        if self._monotonic() >= self._ask_redis_at:
            try:
                await self._redis.delete(*self._keys(self._limits[name], name, identifier))
            except (RedisError, OSError) as error:
                self._redis_is_away(error)

    def _keys(self, limit: RateLimitItem, name: str, identifier: str) -> list[str]:
        current = f"{self._prefix}:{{{limit.key_for(name, identifier)}}}"
        return [f"{current}/-1", current]

    def _identifier(self, caller: str) -> str:
        return hmac.digest(self._hash_key, caller.encode(), hashlib.sha256).hex()[:32]

    def _redis_is_away(self, error: Exception) -> None:
        self._ask_redis_at = self._monotonic() + RETRY_REDIS_SECONDS
        log.warning("limits_counted_locally", error=type(error).__name__)


def _standing(
    limit: RateLimitItem, allowed: int, before: int, before_left: int, count: int, left: int
) -> Standing:
    """Return how the caller stands by what `_TAKE` says, which counts in milliseconds."""
    window = limit.get_expiry() * 1000
    remaining = max(0, limit.amount - math.floor(before * before_left / window + count))
    # A window that has just begun has all of its time left, and not none.
    freed_in = min(
        before_left % (window / before) if before else math.inf,
        (left - 1) % window + 1 if count else math.inf,
    )
    return Standing(limit, bool(allowed), remaining, max(1, math.ceil(min(freed_in, window) / 1000)))


def _share_of(limit: RateLimitItem) -> RateLimitItem:
    return type(limit)(max(1, limit.amount // LOCAL_SHARE), limit.multiples)


def connect_redis(url: str) -> Redis:
    """Return a client that gives up quickly: a limit must never cost more than the request it protects."""
    return Redis.from_url(
        url,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )

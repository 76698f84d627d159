"""How often something may happen in a time: counted in Redis, or here, more strictly, when Redis is away."""

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

from chassis.declarations import About, DataClass, Place, PlaceKind, Purpose
from chassis.problems import Problem
from chassis.sliding_windows import SlidingWindows
from chassis.transactions import outside_transactions

REDIS_TIMEOUT_SECONDS = 0.25
RETRY_REDIS_SECONDS = 2.0
"""While Redis is away it is asked again at most this often, so that an outage does not slow every request."""
LOCAL_SHARE = 2
"""Without Redis each process counts alone; all of one machine allow this fraction (1/2) of the numbers."""
_KEY_PURPOSE = b"irisvue rate limit identifiers"

log = structlog.get_logger(__name__)


class QuotaExceeded(Problem, status=429, title="Too many requests"):
    """The caller used up what it may do in this time."""

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
        keys: Place,
        secret: bytes,
        processes: int = 1,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`keys` is where the counts lie: see `counts_of`.

        `secret` keys the hashes under which callers are counted: Redis holds no address and no user id.
        So many `processes` beside each other serve the same callers.
        """
        self._limits = limits
        self._stricter = {name: _share_of(limit, processes) for name, limit in limits.items()}
        self._hash_key = hmac.digest(secret, _KEY_PURPOSE, "sha256")
        self._monotonic = monotonic
        self._shared = SlidingWindows(redis, keys)
        self._local = SlidingWindowCounterRateLimiter(cast("StorageTypes", MemoryStorage()))
        self._ask_redis_at = float("-inf")

    async def take(self, name: str, caller: str) -> Standing:
        """Count one event of `caller` under the limit `name`, and say how it stands."""
        return (await self.take_all([(name, caller)]))[0]

    async def take_all(self, counted: Sequence[tuple[str, str]]) -> list[Standing]:
        """Count one event under each (limit, caller) in order, and say how they stand.

        The first that is not allowed is the last that is counted.
        """
        outside_transactions("Redis")
        known = [(name, self._identifier(caller)) for name, caller in counted]
        if self._monotonic() >= self._ask_redis_at:
            try:
                return await self._take_shared(known)
            except (RedisError, OSError) as error:
                self._redis_is_away(error)
        return await self._take_here(known)

    async def _take_shared(self, counted: Sequence[tuple[str, str]]) -> list[Standing]:
        limits = [self._limits[name] for name, _ in counted]
        windows = await self._shared.take(
            [(limit.key_for(*known), limit) for limit, known in zip(limits, counted, strict=True)]
        )
        return [
            Standing(limit, window.allowed, window.remaining, window.reset_seconds)
            for limit, window in zip(limits, windows, strict=False)
        ]

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
                await self._shared.clear(self._limits[name].key_for(name, identifier))
            except (RedisError, OSError) as error:
                self._redis_is_away(error)

    def _identifier(self, caller: str) -> str:
        return hmac.digest(self._hash_key, caller.encode(), hashlib.sha256).hex()[:32]

    def _redis_is_away(self, error: Exception) -> None:
        now = self._monotonic()
        if now >= self._ask_redis_at:
            # All who asked together learn it together.
            log.warning("limits_counted_locally", error=type(error).__name__)
        self._ask_redis_at = now + RETRY_REDIS_SECONDS


def counts_of(service: str) -> Place:
    """Return where a service keeps its counts in Redis."""
    return Place(
        kind=PlaceKind.REDIS,
        name=f"{service}:limits:*",
        holds="how often a caller did something, under a keyed hash of their address or id",
        on_erase="empties itself: a count goes two windows after the last call, a day or two at most",
        about=About(
            data_class=DataClass.PSEUDONYM, purpose=Purpose.SECURITY, retention="two windows of its limit"
        ),
    )


def _share_of(limit: RateLimitItem, processes: int) -> RateLimitItem:
    return type(limit)(max(1, limit.amount // (LOCAL_SHARE * processes)), limit.multiples)


def connect_redis(url: str) -> Redis:
    """Return a client that gives up quickly: a limit must never cost more than the request it protects."""
    return Redis.from_url(
        url,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )

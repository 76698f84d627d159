"""How much one address or one person may ask in a time: counted in Redis, or here when Redis is away."""

import asyncio
import hashlib
import hmac
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import structlog
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import StorageTypes
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.problems import QuotaExceeded
from gateway.routes import RateClass

REDIS_TIMEOUT_SECONDS = 0.25
REDIS_CONNECTIONS = 16
RETRY_REDIS_SECONDS = 2.0
"""While Redis is away it is asked again at most this often, so that an outage does not slow every request."""
LOCAL_SHARE = 2
"""Without Redis each process counts alone, so it allows only this fraction (1/2) of the numbers."""
KEY_PREFIX = "gateway:limits"
_KEY_PURPOSE = b"irisvue gateway rate limit identifiers"

log = structlog.get_logger(__name__)

AnswerHeaders = Mapping[str, str]


@dataclass(frozen=True)
class Standing:
    """What the caller has left."""

    limit: RateLimitItem
    allowed: bool
    remaining: int
    reset_seconds: int


class Limits:
    """Sliding-window counters per class; never open, whatever happens to Redis."""

    def __init__(
        self,
        redis: Redis,
        limits: Mapping[RateClass, RateLimitItem],
        *,
        secret: bytes,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`secret` keys the hashes under which callers are counted: Redis holds no address and no user id."""
        self._limits = limits
        self._stricter = {name: _share_of(limit) for name, limit in limits.items()}
        self._hash_key = hmac.digest(secret, _KEY_PURPOSE, "sha256")
        self._monotonic = monotonic
        # limits pings and counts through this client; its URL argument only names the kind of server.
        self._shared = _strategy(
            RedisStorage(
                "async+redis://",
                implementation="redispy",
                key_prefix=KEY_PREFIX,
                connection_pool=cast("str", redis.connection_pool),
            )
        )
        self._local = _strategy(MemoryStorage())
        self._ask_redis_at = float("-inf")
        self._redis_slots = asyncio.Semaphore(REDIS_CONNECTIONS)

    async def spend(self, rate: RateClass, caller: str) -> AnswerHeaders:
        """Count one request of `caller`; returns the answer's headers, raises `QuotaExceeded`."""
        identifier = hmac.digest(self._hash_key, caller.encode(), hashlib.sha256).hex()[:32]
        standing = await self._count(rate, identifier)
        headers = _headers(rate, standing)
        if not standing.allowed:
            raise QuotaExceeded(rate.value, standing.reset_seconds, headers)
        return headers

    async def _count(self, rate: RateClass, identifier: str) -> Standing:
        # A burst must not open a connection per request: in the rush of handshakes all of them would be late.
        async with self._redis_slots:
            if self._monotonic() >= self._ask_redis_at:
                try:
                    return await _take(self._shared, self._limits[rate], rate, identifier)
                except (RedisError, OSError) as error:
                    self._ask_redis_at = self._monotonic() + RETRY_REDIS_SECONDS
                    log.warning("limits_counted_locally", error=type(error).__name__)
        return await _take(self._local, self._stricter[rate], rate, identifier)


async def _take(
    strategy: SlidingWindowCounterRateLimiter, limit: RateLimitItem, rate: RateClass, identifier: str
) -> Standing:
    allowed = await strategy.hit(limit, rate.value, identifier)
    window = await strategy.get_window_stats(limit, rate.value, identifier)
    return Standing(limit, allowed, window.remaining, max(1, math.ceil(window.reset_time - time.time())))


def _headers(rate: RateClass, standing: Standing) -> AnswerHeaders:
    """Return the two structured fields of draft-ietf-httpapi-ratelimit-headers-10."""
    name = rate.value
    return {
        "RateLimit-Policy": f'"{name}";q={standing.limit.amount};w={standing.limit.get_expiry()}',
        "RateLimit": f'"{name}";r={standing.remaining};t={standing.reset_seconds}',
    }


def _strategy(storage: Storage) -> SlidingWindowCounterRateLimiter:
    return SlidingWindowCounterRateLimiter(cast("StorageTypes", storage))


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

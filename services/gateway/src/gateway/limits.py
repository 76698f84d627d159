"""How much one address or one person may ask in a time, per class of routes."""

from collections.abc import Mapping

from limits import RateLimitItem
from redis.asyncio import Redis

from chassis.counters import Counters, QuotaExceeded, Standing
from gateway.routes import RateClass

AnswerHeaders = Mapping[str, str]


class Limits:
    """The counters of every class, and the headers that tell a caller how it stands."""

    def __init__(self, redis: Redis, limits: Mapping[RateClass, RateLimitItem], *, secret: bytes) -> None:
        """`secret` keys the hashes under which callers are counted."""
        by_name = {rate.value: limit for rate, limit in limits.items()}
        self._counters = Counters(redis, by_name, prefix="gateway", secret=secret)

    async def spend(self, rate: RateClass, caller: str) -> AnswerHeaders:
        """Count one request of `caller`; returns the answer's headers, raises `QuotaExceeded`."""
        standing = await self._counters.take(rate.value, caller)
        headers = _headers(rate, standing)
        if not standing.allowed:
            raise QuotaExceeded(rate.value, standing.reset_seconds, headers)
        return headers


def _headers(rate: RateClass, standing: Standing) -> AnswerHeaders:
    """Return the two structured fields of draft-ietf-httpapi-ratelimit-headers-10."""
    name = rate.value
    return {
        "RateLimit-Policy": f'"{name}";q={standing.limit.amount};w={standing.limit.get_expiry()}',
        "RateLimit": f'"{name}";r={standing.remaining};t={standing.reset_seconds}',
    }

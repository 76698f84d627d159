"""How much one address or one person may ask in a time, per class of routes."""

from collections.abc import Mapping

from limits import RateLimitItem
from redis.asyncio import Redis

from chassis.counters import Counters, QuotaExceeded, Standing
from chassis.networks import client_key, wider_key
from gateway.routes import RateClass

AnswerHeaders = Mapping[str, str]

SITE_FACTOR = 8
"""How many times as much a whole IPv6 site (/48) may ask as one line (/64) of it."""


class Limits:
    """The counters of every class, and the headers that tell a caller how it stands."""

    def __init__(self, redis: Redis, limits: Mapping[RateClass, RateLimitItem], *, secret: bytes) -> None:
        """`secret` keys the hashes under which callers are counted."""
        by_name = {rate.value: limit for rate, limit in limits.items()}
        by_name |= {
            _site(rate): type(limit)(limit.amount * SITE_FACTOR, limit.multiples)
            for rate, limit in limits.items()
        }
        self._counters = Counters(redis, by_name, prefix="gateway", secret=secret)

    async def spend(self, rate: RateClass, caller: str) -> AnswerHeaders:
        """Count one request of the person `caller`; returns headers, raises `QuotaExceeded`."""
        return await self._spend(rate.value, caller)

    async def spend_address(self, rate: RateClass, address: str) -> AnswerHeaders:
        """Count one request for its line and for its site; returns headers, raises `QuotaExceeded`."""
        line, site = client_key(address), wider_key(address)
        headers = await self._spend(rate.value, line)
        if site != line:
            await self._spend(_site(rate), site)
        return headers

    async def _spend(self, name: str, caller: str) -> AnswerHeaders:
        standing = await self._counters.take(name, caller)
        headers = _headers(name, standing)
        if not standing.allowed:
            raise QuotaExceeded(name, standing.reset_seconds, headers)
        return headers


def _site(rate: RateClass) -> str:
    return f"{rate.value}-site"


def _headers(name: str, standing: Standing) -> AnswerHeaders:
    """Return the two structured fields of draft-ietf-httpapi-ratelimit-headers-10."""
    return {
        "RateLimit-Policy": f'"{name}";q={standing.limit.amount};w={standing.limit.get_expiry()}',
        "RateLimit": f'"{name}";r={standing.remaining};t={standing.reset_seconds}',
    }

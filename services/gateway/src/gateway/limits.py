"""How much one address or one person may ask: in a time, per class of routes, and at once."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from limits import RateLimitItem
from redis.asyncio import Redis

from chassis.counters import Counters, QuotaExceeded, Standing, counts_of
from chassis.networks import client_key, wider_key
from gateway.problems import Overloaded, TooManyAtOnce
from gateway.routes import RateClass

AnswerHeaders = Mapping[str, str]
COUNTS = counts_of("gateway")

SITE_RATE_FACTOR = 8
"""How many times as much a whole IPv6 site (/48) may ask as one line (/64) of it."""
SITE_SHARE_FACTOR = 3
"""How many times as many places a whole IPv6 site (/48) has as one line (/64) of it."""


class RateLimits:
    """The counters of every class, and the headers that tell a caller how it stands."""

    def __init__(
        self,
        redis: Redis,
        limits: Mapping[RateClass, RateLimitItem],
        *,
        secret: bytes,
        processes: int = 1,
    ) -> None:
        """`secret` keys the hashes under which callers are counted, by so many `processes` together."""
        by_name = {rate.value: limit for rate, limit in limits.items()}
        by_name |= {
            _site(rate): type(limit)(limit.amount * SITE_RATE_FACTOR, limit.multiples)
            for rate, limit in limits.items()
        }
        self._counters = Counters(redis, by_name, keys=COUNTS, secret=secret, processes=processes)

    async def spend(self, rate: RateClass, caller: str) -> AnswerHeaders:
        """Count one request of the person `caller`; returns headers, raises `QuotaExceeded`."""
        return await self._spend([(rate.value, caller)])

    async def spend_address(self, rate: RateClass, address: str) -> AnswerHeaders:
        """Count one request for its line and for its site; returns headers, raises `QuotaExceeded`."""
        line, site = client_key(address), wider_key(address)
        return await self._spend([(rate.value, line), (_site(rate), site)][: 1 + (site != line)])

    async def _spend(self, counted: Sequence[tuple[str, str]]) -> AnswerHeaders:
        standings = await self._counters.take_all(counted)
        last = standings[-1]
        if not last.allowed:
            name = counted[len(standings) - 1][0]
            raise QuotaExceeded(name, last.reset_seconds, _headers(name, last))
        return _headers(counted[0][0], standings[0])


def _site(rate: RateClass) -> str:
    return f"{rate.value}-site"


def _headers(name: str, standing: Standing) -> AnswerHeaders:
    """Return the two structured fields of draft-ietf-httpapi-ratelimit-headers-10."""
    return {
        "RateLimit-Policy": f'"{name}";q={standing.limit.amount};w={standing.limit.get_expiry()}',
        "RateLimit": f'"{name}";r={standing.remaining};t={standing.reset_seconds}',
    }


@dataclass(frozen=True)
class Shares:
    """How many requests may run at once: of everybody, from one address (its line), of one person."""

    everybody: int
    address: int
    person: int


class ConcurrencyLimits:
    """Counts who holds how many places; whoever is slow keeps others from none but its own."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._held: Counter[str] = Counter()
        self.running = 0
        self.waiting = 0
        """How many of those that run wait for a service to come back."""

    @contextmanager
    def for_address(self, address: str) -> Iterator[None]:
        """Hold a place while the block runs; raises `Overloaded` or `TooManyAtOnce`."""
        if self.running >= self._shares.everybody:
            raise Overloaded
        line, site = client_key(address), wider_key(address)
        self.running += 1
        try:
            with (
                self._held_by(f"site {site}", self._shares.address * SITE_SHARE_FACTOR),
                self._held_by(f"line {line}", self._shares.address),
            ):
                yield
        finally:
            self.running -= 1

    @contextmanager
    def for_person(self, person: str) -> Iterator[None]:
        """Hold one of the person's places while the block runs; raises `TooManyAtOnce`."""
        with self._held_by(f"person {person}", self._shares.person):
            yield

    @contextmanager
    def waits(self) -> Iterator[None]:
        """Count a request as one that waits while the block runs."""
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    @contextmanager
    def _held_by(self, caller: str, most: int) -> Iterator[None]:
        if self._held[caller] >= most:
            raise TooManyAtOnce
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]

"""What the gateway is made of; built once per process, opened and closed with it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.types import Scope

from chassis.auth import AccessTokens, KeySet
from chassis.clock import Clock, SystemClock
from chassis.counters import connect_redis
from chassis.http import ServiceClient
from chassis.process import Part
from chassis.service_auth import ServiceTokens
from gateway.denylist import DenyList
from gateway.feed import RevocationFeed
from gateway.gate import Gate
from gateway.headers import client_address
from gateway.health import Vitals
from gateway.limits import Limits
from gateway.proxy import Proxy
from gateway.routes import ROUTES, RateClass, RoutingTable, with_photos_of
from gateway.settings import GatewaySettings
from gateway.sightings import Sightings
from gateway.upstreams import Upstreams

JWKS_PATH = "/.well-known/jwks.json"


class Service:
    """The parts of a gateway and how they know each other."""

    def __init__(self, settings: GatewaySettings, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        tokens = ServiceTokens.of("gateway", settings)
        self._redis = connect_redis(settings.redis_url.get_secret_value())
        self._identity = ServiceClient(settings.identity_url, audience="identity", tokens=tokens)
        self.upstreams = Upstreams(settings.upstream_urls, tokens)
        self.denylist = DenyList(keep=settings.remember_revocations)
        self.feed = RevocationFeed(self._identity, self.denylist)
        self.sightings = Sightings(self._identity)
        limits = Limits(
            self._redis, settings.rate_limits, secret=settings.service_key.get_secret_value().encode()
        )
        access_tokens = AccessTokens(
            KeySet(lambda: self._identity.get(JWKS_PATH)),
            issuer=settings.access_token_issuer,
            audience=settings.access_token_audience,
        )
        self._gate = Gate(access_tokens, self.denylist, self.feed, self.sightings, limits, clock)
        self._trusted = settings.trusted_proxies
        self.proxy = Proxy(
            RoutingTable(with_photos_of(settings.upload_limit_bytes, ROUTES)),
            self._gate,
            self.upstreams,
            trusted_proxies=settings.trusted_proxies,
            shares=settings.shares,
        )
        self.vitals = Vitals(
            self.upstreams, settings.worker_urls, redis=self._ping_redis, revocations=self.feed.check
        )
        self.public_url = settings.public_url

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[list[Part]]:
        """Keep every connection open until the block ends; return what runs beside the server."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._redis.aclose)
            await stack.enter_async_context(self.upstreams)
            await stack.enter_async_context(self._identity)
            yield [
                Part("follow-revocations", self.feed.run, outlasts=True),
                Part("tell-sightings", self.sightings.run, outlasts=True),
            ]

    async def count_public(self, scope: Scope) -> None:
        """Count a request for something that anybody may read; raises `QuotaExceeded`."""
        await self._gate.count(RateClass.PUBLIC, scope, client_address(scope, self._trusted))

    async def _ping_redis(self) -> None:
        await self._redis.ping()

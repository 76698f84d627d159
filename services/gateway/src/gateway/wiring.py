"""What the gateway is made of; built once per process, opened and closed with it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from chassis.auth import AccessTokens, KeySet
from chassis.clock import Clock, SystemClock
from chassis.counters import connect_redis
from chassis.http import ServiceClient
from chassis.process import Part
from chassis.service_auth import ServiceTokens
from gateway.admission_control import AdmissionControl
from gateway.data_map import WholeDataMap
from gateway.health import PlatformHealth
from gateway.limits import ConcurrencyLimits, RateLimits
from gateway.proxy import Proxy
from gateway.published_keys import PublishedKeys
from gateway.revocations import DenyList, RevocationFeed
from gateway.routes import ROUTES, RoutingTable, with_photos_of
from gateway.session_activity import SessionActivity
from gateway.settings import GatewaySettings
from gateway.siblings import Pipes, Siblings
from gateway.upstreams import Upstreams

JWKS_PATH = "/.well-known/jwks.json"
PUBLISHED_KEYS_PATH = "/internal/published-keys"


class Service:
    """The parts of a gateway and how they know each other."""

    def __init__(
        self, settings: GatewaySettings, clock: Clock | None = None, *, pipes: Pipes | None = None
    ) -> None:
        """`pipes` lead to the others where several gateways share the port."""
        clock = clock or SystemClock()
        tokens = ServiceTokens.of("gateway", settings)
        self._redis = connect_redis(settings.redis_url.get_secret_value())
        self._neighbours: dict[str, ServiceClient] = {
            name: ServiceClient(url, audience=name, tokens=tokens)
            for name, url in settings.upstream_urls.items()
        }
        self._identity, self._consent = self._neighbours["identity"], self._neighbours["consent"]
        self.data_map = WholeDataMap(self._neighbours)
        self.published_keys = PublishedKeys(
            [
                (self._identity, JWKS_PATH),
                (self._identity, PUBLISHED_KEYS_PATH),
                (self._consent, PUBLISHED_KEYS_PATH),
            ]
        )
        self.upstreams = Upstreams(settings.upstream_urls, tokens)
        self.denylist = DenyList(keep=settings.remember_revocations)
        self.siblings = Siblings(self.denylist, pipes)
        self.feed = RevocationFeed(self._identity, self.denylist)
        self.activity = SessionActivity(self._identity)
        self.admission = self._admission_control(settings, clock)
        table = RoutingTable(with_photos_of(settings.upload_limit_bytes, ROUTES))
        self.proxy = Proxy(table, self.admission, self.upstreams)
        self.health = PlatformHealth(
            self.upstreams, settings.worker_urls, redis=self._ping_redis, revocations=self.feed.check
        )
        self.public_url = settings.public_url
        self._beside_others = [Part("hear-siblings", self.siblings.run, outlasts=True)] if pipes else []

    def _admission_control(self, settings: GatewaySettings, clock: Clock) -> AdmissionControl:
        access_tokens = AccessTokens(
            KeySet(lambda: self._identity.get(JWKS_PATH)),
            issuer=settings.access_token_issuer,
            audience=settings.access_token_audience,
        )
        return AdmissionControl(
            tokens=access_tokens,
            denylist=self.denylist,
            siblings=self.siblings,
            feed=self.feed,
            activity=self.activity,
            rates=RateLimits(
                self._redis,
                settings.rate_limits,
                secret=settings.service_key.get_secret_value().encode(),
                processes=settings.processes,
            ),
            places=ConcurrencyLimits(settings.shares),
            clock=clock,
            trusted_proxies=settings.trusted_proxies,
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[list[Part]]:
        """Keep every connection open until the block ends; return what runs beside the server."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._redis.aclose)
            await stack.enter_async_context(self.upstreams)
            for neighbour in self._neighbours.values():
                await stack.enter_async_context(neighbour)
            yield [
                Part("follow-revocations", self.feed.run, outlasts=True),
                Part("report-session-activity", self.activity.run, outlasts=True),
                *self._beside_others,
            ]

    async def _ping_redis(self) -> None:
        await self._redis.ping()

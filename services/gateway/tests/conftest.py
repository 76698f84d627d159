"""A running gateway, and small real servers in place of the services behind it."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm

from chassis.clock import Clock, SystemClock
from chassis.ids import new_id
from chassis.process import Part, Process
from chassis.service_auth import ServiceTokens
from cluster.members import SERVICES
from gateway.main import create_api
from gateway.routes import Upstream
from gateway.server import serve
from gateway.settings import GatewaySettings
from gateway.wiring import Service
from support import eventually

ISSUER = "http://localhost:8000"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class KeyPair:
    """An EC P-256 key of a service or of the token issuer."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self.jwk: dict[str, Any] = {
            **json.loads(ECAlgorithm.to_jwk(self.private.public_key())),
            "kid": kid,
        }


class Mint:
    """Makes access tokens as identity does, and spoiled ones."""

    def __init__(self) -> None:
        self.key = KeyPair("token-key")

    def token(
        self,
        user_id: UUID | None = None,
        session_id: UUID | None = None,
        *,
        headers: Any = None,
        **claims: Any,
    ) -> str:
        now = time.time()
        payload = {
            "iss": ISSUER,
            "aud": "irisvue-api",
            "sub": str(user_id or new_id()),
            "sid": str(session_id or new_id()),
            "jti": str(new_id()),
            "iat": now,
            "exp": now + 1800,
            "auth_time": now,
            **claims,
        }
        return jwt.encode(
            payload,
            self.key.private,
            algorithm="ES256",
            headers={"typ": "at+jwt", "kid": self.key.kid, **(headers or {})},
        )

    def bearer(
        self, user_id: UUID | None = None, session_id: UUID | None = None, **claims: Any
    ) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(user_id, session_id, **claims)}"}


def _bound(port: int) -> socket.socket:
    """Return a socket that has the port, or any if it is 0, and does not listen yet."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", port))
    return place


@dataclass
class Neighbour:
    """A service behind the gateway: answers what the test tells it to, and remembers what it was asked."""

    name: str
    port: int = 0
    handlers: dict[tuple[str, str], Handler] = field(default_factory=dict)
    asked: list[web.Request] = field(default_factory=list)
    unwell: set[str] = field(default_factory=set)
    expects: Handler | None = None
    """What is answered in place of 100 Continue."""
    _runner: web.AppRunner | None = None
    _place: socket.socket | None = None

    def on(self, method: str, path: str, handler: Handler) -> None:
        self.handlers[method, path] = handler

    def answers(self, method: str, path: str, body: Any, status: int = 200, **headers: str) -> None:
        async def handler(_request: web.Request) -> web.StreamResponse:
            return web.json_response(body, status=status, headers=headers)

        self.on(method, path, handler)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/health"):
            return web.Response(status=503 if request.path in self.unwell else 200)
        self.asked.append(request)
        handler = self.handlers.get((request.method, request.path))
        if handler is None:
            return web.json_response({"upstream": self.name, "path": request.path_qs})
        return await handler(request)

    async def start(self) -> None:
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{anything:.*}", self.handle, expect_handler=self.expects)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        place, self._place = self._place or _bound(self.port), None
        await web.SockSite(self._runner, place).start()
        self.port = place.getsockname()[1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            # Nobody else is given the port meanwhile; nobody listens at it either.
            self._place = _bound(self.port)

    async def leave(self) -> None:
        """Stop for good."""
        await self.stop()
        if self._place is not None:
            self._place.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Identity(Neighbour):
    """Identity's keys and its list of ended sessions."""

    def __init__(self, mint: Mint, tokens: ServiceTokens) -> None:
        super().__init__("identity")
        self._tokens = tokens
        self.revocations: list[dict[str, Any]] = []
        self.page_size = 100
        self._changed = asyncio.Condition()
        self.answers("GET", "/.well-known/jwks.json", {"keys": [mint.key.jwk]})
        self.answers("GET", "/internal/published-keys", {"keys": []})
        self.on("GET", "/internal/session-revocations", self._session_revocations)

    async def revoke(self, session_id: UUID) -> None:
        async with self._changed:
            self.revocations.append(
                {
                    "session_id": str(session_id),
                    "revoked_at": datetime.now(UTC).isoformat(),
                    "expires_in": 1800.0,
                }
            )
            self._changed.notify_all()

    async def _session_revocations(self, request: web.Request) -> web.StreamResponse:
        assert self._tokens.verify(request.headers["Authorization"].removeprefix("Bearer ")) == "gateway"
        after = int(request.query["after"])
        async with self._changed:
            try:
                async with asyncio.timeout(float(request.query["wait"]) or 0.01):
                    await self._changed.wait_for(lambda: len(self.revocations) > after)
            except TimeoutError:
                # Nothing happened while the question stood open; the answer says so.
                pass
        found = self.revocations[after : after + self.page_size]
        return web.json_response(
            {
                "position": after + len(found),
                "revocations": found,
                "complete": after + len(found) >= len(self.revocations),
            }
        )


@dataclass
class Stage:
    """A gateway in its surroundings."""

    settings: GatewaySettings
    service: Service
    identity: Identity
    consent: Neighbour
    storage: Neighbour
    neighbours: list[Neighbour]
    workers: Neighbour
    mint: Mint
    client: aiohttp.ClientSession
    port: int


@pytest.fixture
def mint() -> Mint:
    return Mint()


@pytest.fixture(scope="session")
def service_keys() -> dict[str, KeyPair]:
    return {name: KeyPair(name) for name in SERVICES}


OpenStage = Callable[..., Any]


@pytest.fixture
def open_stage(mint: Mint, service_keys: dict[str, KeyPair]) -> OpenStage:
    """Start a gateway with its own neighbours: `async with open_stage(redis_url=…) as stage`."""

    @asynccontextmanager
    async def opened(
        *, clock: Clock | None = None, blind: bool = False, **replaced: Any
    ) -> AsyncIterator[Stage]:
        public = {name: pair.jwk for name, pair in service_keys.items()}
        identity = Identity(
            mint,
            ServiceTokens("identity", private_key=service_keys["identity"].pem, public_keys=public),
        )
        consent, storage, workers = Neighbour("consent"), Neighbour("storage"), Neighbour("workers")
        others = [Neighbour(name) for name in Upstream if name not in ("identity", "consent", "storage")]
        neighbours: list[Neighbour] = [identity, consent, storage, *others]
        for neighbour in (*neighbours, workers):
            await neighbour.start()
        settings = GatewaySettings.model_validate(
            {
                "public_url": ISSUER,
                "service_key": service_keys["gateway"].pem,
                "service_public_keys": public,
                "redis_url": "redis://gateway:a-long-generated-password@127.0.0.1:1/0",
                "worker_urls": (workers.url,),
                **{f"{neighbour.name}_url": neighbour.url for neighbour in neighbours},
                **replaced,
            }
        )
        service = Service(settings, clock or SystemClock())
        server = serve(create_api(settings, service), host="127.0.0.1", port=0)
        process = Process()

        @asynccontextmanager
        async def parts() -> AsyncIterator[list[Part]]:
            async with service.opened() as own:
                yield [server.part("http"), *own]

        running = asyncio.create_task(process.run(parts()))

        async def ready() -> None:
            assert server.started
            assert blind or service.feed.fresh

        try:
            if blind:
                await identity.stop()
            await eventually(ready)
            port = server.servers[0].sockets[0].getsockname()[1]
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", auto_decompress=False) as client:
                yield Stage(
                    settings, service, identity, consent, storage, neighbours, workers, mint, client, port
                )
        finally:
            process.stop()
            assert await running
            for neighbour in (*neighbours, workers):
                await neighbour.leave()

    return opened


@pytest.fixture
async def stage(open_stage: OpenStage) -> AsyncIterator[Stage]:
    """A gateway without Redis, which it can do without."""
    async with open_stage() as opened:
        yield opened

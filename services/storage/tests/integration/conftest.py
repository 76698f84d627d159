"""Storage with people, a consent service that answers as it is told, and a road to S3 that can be cut."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import aioboto3
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from jwt.algorithms import ECAlgorithm
from sqlalchemy import select

from chassis.auth import AccessTokens, KeySet
from chassis.consumer import Inbound, Outcome
from chassis.ids import new_id
from chassis.problems import Problem
from chassis.service_auth import ServiceTokens
from contracts.consent import ConsentGranted, ConsentWithdrawn
from contracts.envelope import Event, parse_head, wrap
from contracts.fields import ConsentType
from storage.main import STORAGE
from storage.settings import StorageSettings
from storage.wiring import Service
from support import FrozenClock
from support.gateway import through_gateway
from support.platform import Platform


class ConsentNeighbour:
    """A consent service: a real HTTP server that checks the service token and keeps epochs."""

    def __init__(self, settings: StorageSettings, clock: FrozenClock) -> None:
        self.url = ""
        self.down = False
        self.asked = 0
        self.seen: dict[str, str] = {}
        self.before_answer: Callable[[], Awaitable[None]] | None = None
        self._answers: dict[str, dict[str, Any]] = {}
        self.positions: dict[str, int] = {}
        self._last = 0
        self.pages = 0
        self.withholding: dict[str, str] = {}
        self.page_size = 1000
        self._clock = clock
        self._tokens = ServiceTokens(
            "consent",
            private_key=settings.service_key.get_secret_value(),
            public_keys=settings.service_public_keys,
        )

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.seen = dict(request.query)
        if self.before_answer is not None:
            await self.before_answer()
        if refusal := self._refusal(request):
            return refusal
        nothing = {"granted": False, "consent_id": None, "epoch": 0, "withdrawn_epoch": 0}
        return web.json_response(self._answers.get(request.match_info["user_id"], nothing))

    async def changes(self, request: web.Request) -> web.Response:
        """Give the feed of changed consents, as consent does: each at the position of its last change."""
        if refusal := self._refusal(request):
            return refusal
        self.pages += 1
        after = int(request.query["after"])
        behind = sorted((place, person) for person, place in self.positions.items() if place > after)
        page = behind[: self.page_size]
        shown = [
            {**self._answers[person], "user_id": person, "consent_type": "biometric_capture"}
            for _, person in page
        ]
        return web.json_response(
            {
                "position": page[-1][0] if page else after,
                "last_position": max(self.positions.values(), default=0),
                "complete": len(page) == len(behind),
                "changes": shown,
            }
        )

    async def disclosure(self, request: web.Request) -> web.Response:
        """Tell whether pictures go into a copy of the data."""
        if refusal := self._refusal(request):
            return refusal
        clause = self.withholding.get(request.match_info["user_id"])
        return web.json_response({"pictures": clause is None, "clause": clause})

    def _refusal(self, request: web.Request) -> web.Response | None:
        try:
            caller = self._tokens.verify(request.headers.get("Authorization", "").removeprefix("Bearer "))
        except Problem:
            return web.Response(status=401)
        return web.Response(status=503) if self.down or caller != "storage" else None

    def _move(self, user_id: UUID) -> None:
        self._last += 1
        self.positions[str(user_id)] = self._last

    def demand(self, user_id: UUID, jurisdiction: str | None) -> None:
        """Let the person be where that law holds and their consent is not enough; None: it is again."""
        self._answers[str(user_id)]["stricter_jurisdiction"] = jurisdiction

    def grant(self, user_id: UUID) -> ConsentGranted:
        """Let the person agree; the event is returned, not sent."""
        before = self._answers.get(str(user_id), {"epoch": 0, "withdrawn_epoch": 0})
        now = {**before, "granted": True, "consent_id": str(new_id()), "epoch": before["epoch"] + 1}
        self._answers[str(user_id)] = now
        self._move(user_id)
        return ConsentGranted(
            user_id=user_id,
            consent_id=UUID(now["consent_id"]),
            consent_type=ConsentType.BIOMETRIC_CAPTURE,
            jurisdiction="gdpr",
            consent_text_version="2026-01",
            epoch=now["epoch"],
            granted_at=self._clock.now(),
        )

    def lapse(self, user_id: UUID) -> None:
        """Let the consent run out without anybody having noted it yet: no epoch moves."""
        self._answers[str(user_id)] |= {"granted": False, "consent_id": None}

    def withdraw(self, user_id: UUID) -> ConsentWithdrawn:
        """Let the person withdraw; the event is returned, not sent."""
        before = self._answers[str(user_id)]
        epoch = before["epoch"] + 1
        consent_id = before["consent_id"]
        self._answers[str(user_id)] = {
            "granted": False,
            "consent_id": None,
            "epoch": epoch,
            "withdrawn_epoch": epoch,
        }
        self._move(user_id)
        return ConsentWithdrawn(
            user_id=user_id,
            consent_id=UUID(consent_id),
            consent_type=ConsentType.BIOMETRIC_CAPTURE,
            jurisdiction="gdpr",
            epoch=epoch,
            withdrawn_at=self._clock.now(),
        )


class Road:
    """The way to the object store: a TCP proxy that a test can cut and mend."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._open = True
        self._writers: set[asyncio.StreamWriter] = set()
        self.url = ""
        self.carried_back = 0
        """Bytes that have come from the store."""

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer, back=True))
        finally:
            self._writers -= {writer, far_writer}

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool = False
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65_536):
                self.carried_back += len(chunk) if back else 0
                writer.write(chunk)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        self._open = False
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._open = True


class Issuer:
    """Signs access tokens as identity does."""

    def __init__(self, settings: StorageSettings) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self._pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._jwk = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "test"}
        self._claims = {"iss": settings.access_token_issuer, "aud": settings.access_token_audience}
        self.verifier = AccessTokens(
            KeySet(self._keys), issuer=self._claims["iss"], audience=self._claims["aud"]
        )

    async def _keys(self) -> dict[str, Any]:
        return {"keys": [self._jwk]}

    def headers(self, user_id: UUID, *, email_verified: bool = False) -> dict[str, str]:
        now = int(time.time())
        personal = {"sub": str(user_id), "sid": str(uuid4()), "jti": str(uuid4())}
        times = {"iat": now, "auth_time": now, "exp": now + 600}
        claims = {**self._claims, **personal, **times, "email_verified": email_verified, "gen": 1}
        token = jwt.encode(claims, self._pem, "ES256", {"typ": "at+jwt", "kid": "test"})
        return {"Authorization": f"Bearer {token}"}


class Person:
    """Somebody with the app in hand."""

    def __init__(self, client: AsyncClient, issuer: Issuer, *, email_verified: bool = False) -> None:
        self.id = new_id()
        self._client = client
        self._headers = issuer.headers(self.id, email_verified=email_verified)

    async def call(self, method: str, path: str = "", **content: Any) -> Any:
        return await self._client.request(method, f"/api/v1/photos{path}", headers=self._headers, **content)

    async def ticket(self, content_type: str = "image/jpeg") -> dict[str, Any]:
        answer = await self.call("POST", "/upload", json={"content_type": content_type})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def put(self, ticket: dict[str, Any], data: bytes, content_type: str = "image/jpeg") -> Any:
        return await self._client.put(
            ticket["upload_url"], content=data, headers={"Content-Type": content_type}
        )

    async def upload(self, data: bytes, content_type: str = "image/jpeg") -> dict[str, Any]:
        ticket = await self.ticket(content_type)
        received = await self.put(ticket, data, content_type)
        assert received.status_code == 200, received.text
        size = {"file_size": len(data), "width": 1, "height": 1}
        confirmed = await self.call("POST", f"/{ticket['photo_id']}/confirm", json=size)
        assert confirmed.status_code == 200, confirmed.text
        return dict(confirmed.json())

    async def read(self, url: str, **headers: str) -> Any:
        return await self._client.get(url, headers=headers)


@pytest.fixture
async def consent(
    settings_of_platform: StorageSettings, clock: FrozenClock
) -> AsyncIterator[ConsentNeighbour]:
    neighbour = ConsentNeighbour(settings_of_platform, clock)
    app = web.Application()
    app.router.add_get("/internal/consents/{user_id}/biometric_capture", neighbour.answer)
    app.router.add_get("/internal/consents", neighbour.changes)
    app.router.add_get("/internal/people/{user_id}/disclosure", neighbour.disclosure)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    neighbour.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield neighbour
    await runner.cleanup()


@pytest.fixture
async def road(settings_of_platform: StorageSettings) -> AsyncIterator[Road]:
    road = Road(settings_of_platform.s3_endpoint_url)
    server = await asyncio.start_server(road.carry, "127.0.0.1", 0)
    road.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield road
    road.cut()
    server.close()
    await server.wait_closed()


@pytest.fixture
def settings(settings_of_platform: StorageSettings, consent: ConsentNeighbour, road: Road) -> StorageSettings:
    return settings_of_platform.model_copy(update={"consent_url": consent.url, "s3_endpoint_url": road.url})


@pytest.fixture
def issuer(settings: StorageSettings) -> Issuer:
    return Issuer(settings)


@pytest.fixture
def app(settings: StorageSettings, service: Service, issuer: Issuer) -> FastAPI:
    app = STORAGE.create_api(settings)
    STORAGE.install(app, service)
    app.state.access_tokens = issuer.verifier
    return app


@pytest.fixture
async def client(app: FastAPI, platform: Platform) -> AsyncIterator[AsyncClient]:
    hooks = through_gateway(platform.gateway_proof("storage"))
    async with AsyncClient(
        transport=ASGITransport(app), base_url="http://storage", event_hooks=hooks
    ) as opened:
        yield opened


@pytest.fixture
def stranger(client: AsyncClient, issuer: Issuer) -> Person:
    """Somebody who has agreed to nothing."""
    return Person(client, issuer)


@pytest.fixture
def person_of(client: AsyncClient, issuer: Issuer, consent: ConsentNeighbour) -> Callable[[], Person]:
    """Make people whose biometric consent is live."""

    def make() -> Person:
        person = Person(client, issuer)
        consent.grant(person.id)
        return person

    return make


@pytest.fixture
def ada(client: AsyncClient, issuer: Issuer, consent: ConsentNeighbour) -> Person:
    """Somebody whose biometric consent is live, and of whom storage has not heard yet."""
    person = Person(client, issuer)
    consent.grant(person.id)
    return person


@pytest.fixture
def grace(client: AsyncClient, issuer: Issuer, consent: ConsentNeighbour) -> Person:
    """Somebody else whose biometric consent is live."""
    person = Person(client, issuer)
    consent.grant(person.id)
    return person


@pytest.fixture
def deliver(service: Service, clock: FrozenClock) -> Callable[[Event], Awaitable[None]]:
    """Bring an event to its consumer, as the broker would."""
    consumers = STORAGE.create_worker(service).work.consumers

    async def _deliver(event: Event) -> None:
        body = wrap(event, event_id=new_id(), time=clock.now(), traceparent=None).to_json()
        (hears,) = (it for it in consumers if any(known.of_type(event.type) for known in it.handlers))
        assert await Inbound(service.database, hears).process(body) is Outcome.DONE

    return _deliver


@pytest.fixture
def announced(service: Service) -> Callable[[], Awaitable[list[dict[str, Any]]]]:
    """List the events written so far: their type and their data."""

    async def _announced() -> list[dict[str, Any]]:
        async with service.unit_of_work() as uow:
            outbox = uow.tables.outbox
            bodies = (await uow.session.scalars(select(outbox.c.body).order_by(outbox.c.position))).all()
        return [{"type": parse_head(body).type, **json.loads(body)["data"]} for body in bodies]

    return _announced


@pytest.fixture
async def operator(platform: Platform) -> AsyncIterator[Any]:
    """The store's operator, who may do what storage's identity may not."""
    key, secret = platform.servers.s3_admin
    async with aioboto3.Session().client(
        "s3",
        endpoint_url=platform.servers.s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    ) as s3:
        yield s3


@pytest.fixture
async def versioned(
    request: pytest.FixtureRequest, operator: Any, settings: StorageSettings
) -> AsyncIterator[bool]:
    """Have the bucket keep versions for the length of a test; indirectly with False: not."""

    async def keep(status: str) -> None:
        said = {"Status": status}
        await operator.put_bucket_versioning(Bucket=settings.s3_bucket, VersioningConfiguration=said)

    if wanted := bool(getattr(request, "param", True)):
        await keep("Enabled")
    yield wanted
    if wanted:
        await keep("Suspended")

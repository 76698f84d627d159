"""Identity on real servers."""

from collections.abc import AsyncIterator

import pytest
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import select

from chassis.service_auth import ServiceTokens
from chassis.testing import FrozenClock
from cluster.testing.platform import Platform
from identity.main import create_api, install
from identity.settings import IdentitySettings
from identity.wiring import Service, open_service

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session")
def settings(platform: Platform) -> IdentitySettings:
    platform.migrate("identity")
    with platform.variables_of("identity"):
        return IdentitySettings()


@pytest.fixture
async def service(
    platform: Platform, settings: IdentitySettings, clock: FrozenClock
) -> AsyncIterator[Service]:
    await platform.clean("identity")
    async with open_service(settings, clock) as opened:
        yield opened


@pytest.fixture
async def client(settings: IdentitySettings, service: Service) -> AsyncIterator[AsyncClient]:
    app = create_api(settings)
    install(app, service)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://identity") as opened:
        yield opened


class Person:
    """Somebody with an account, as the app sees them."""

    def __init__(self, client: AsyncClient, email: str = "ada@example.org") -> None:
        self.client = client
        self.email = email
        self.user_id = ""
        self.tokens: dict[str, str] = {}

    async def register(self) -> "Person":
        answer = await self.client.post(
            "/api/v1/auth/register", json={"email": self.email, "password": PASSWORD}
        )
        assert answer.status_code == 201, answer.text
        self.user_id = answer.json()["id"]
        return self

    async def log_in(self) -> dict[str, str]:
        answer = await self.client.post(
            "/api/v1/auth/login/json", json={"email": self.email, "password": PASSWORD}
        )
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()
        return self.tokens

    async def refresh(self, token: str):
        return await self.client.post("/api/v1/auth/refresh", json={"refresh_token": token})

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}


@pytest.fixture
async def ada(client: AsyncClient) -> Person:
    """Return a person who has registered and signed in."""
    person = await Person(client).register()
    await person.log_in()
    return person


@pytest.fixture
def events(service: Service):
    """Return a function that lists the types of the events written so far, in order."""

    async def _events() -> list[str]:
        async with service.unit_of_work() as uow:
            outbox = uow.tables.outbox
            return list((await uow.session.scalars(select(outbox.c.type).order_by(outbox.c.position))).all())

    return _events


@pytest.fixture
def service_headers(platform: Platform):
    """Return a function that makes the headers of a call from one service to another."""

    def _headers(caller: str, audience: str) -> dict[str, str]:
        values = platform.environment(caller)
        tokens = ServiceTokens(
            caller,
            private_key=values[f"{caller.upper()}_SERVICE_KEY"].replace("\\n", "\n"),
            public_keys={},
        )
        return {"Authorization": f"Bearer {tokens.issue(audience)}"}

    return _headers


@pytest.fixture
def gateway_headers(service_headers) -> dict[str, str]:
    """Return the headers of the gateway's calls to identity."""
    return service_headers("gateway", "identity")

"""Sample on real servers, and somebody who uses it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from httpx2 import ASGITransport, AsyncClient

from chassis.auth import Principal
from chassis.ids import new_id
from sample.main import SAMPLE
from sample.settings import SampleSettings
from sample.wiring import open_service
from support.gateway import through_gateway


@pytest.fixture(scope="session")
def settings(platform):
    platform.migrate("sample")
    with platform.variables_of("sample"):
        return SampleSettings()


@pytest.fixture
async def service(platform, settings, clock):
    await platform.clean("sample")
    async with open_service(settings, clock) as opened:
        yield opened


class OnePerson:
    """Takes every token for that of one person: whose it is, identity's tests and the gateway's say."""

    def __init__(self, user_id: UUID) -> None:
        self._user_id = user_id

    async def verify(self, token: str) -> Principal:
        now = datetime.now(UTC)
        until = now + timedelta(minutes=5)
        return Principal(self._user_id, new_id(), token, now, now, until)


@pytest.fixture
def as_somebody(platform, service, settings):
    """Return a client that calls as one person: `async with as_somebody(user_id) as client`."""

    @asynccontextmanager
    async def client_of(user_id: UUID) -> AsyncIterator[AsyncClient]:
        app = SAMPLE.create_api(settings)
        SAMPLE.install(app, service)
        app.state.access_tokens = OnePerson(user_id)
        client = AsyncClient(
            transport=ASGITransport(app, raise_app_exceptions=False),
            base_url="http://sample",
            headers={"Authorization": "Bearer a-token"},
            event_hooks=through_gateway(platform.gateway_proof("sample")),
        )
        async with client:
            yield client

    return client_of

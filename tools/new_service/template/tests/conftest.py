"""Sample on real servers, and somebody who uses it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from httpx2 import ASGITransport, AsyncClient

from chassis.auth import Principal
from chassis.callers import current_principal
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


@pytest.fixture
def as_somebody(platform, service, settings):
    """Return a client that calls as one person: `async with as_somebody(user_id) as client`."""

    @asynccontextmanager
    async def client_of(user_id) -> AsyncIterator[AsyncClient]:
        app = SAMPLE.create_api(settings)
        SAMPLE.install(app, service)
        now = datetime.now(UTC)

        async def caller() -> Principal:
            return Principal(
                user_id=user_id,
                session_id=new_id(),
                token_id="token",
                issued_at=now,
                expires_at=now + timedelta(minutes=5),
                authenticated_at=now,
            )

        app.dependency_overrides[current_principal] = caller
        transport = ASGITransport(app, raise_app_exceptions=False)
        hooks = through_gateway(platform.gateway_proof("sample"))
        async with AsyncClient(transport=transport, base_url="http://sample", event_hooks=hooks) as client:
            yield client

    return client_of

"""K20: every service shows its data map to the gateway, and to nobody else."""

from contextlib import asynccontextmanager

import pytest
from httpx2 import ASGITransport, AsyncClient

import data_map_page
from chassis.data_map_routes import PATH
from chassis.service_auth import ServiceTokens
from identity.main import IDENTITY

SERVICES = {service.name: service for service in data_map_page.services()}


@asynccontextmanager
async def opened(platform, service):
    with platform.variables_of(service.name):
        settings = service.settings()
    app = service.create_api(settings)
    app.state.service_tokens = ServiceTokens.of(service.name, settings)
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


@pytest.mark.parametrize("name", SERVICES)
async def test_k20_service_shows_the_gateway_what_it_holds(platform, name):
    bearer = {"Authorization": f"Bearer {platform.gateway_proof(name)()}"}
    async with opened(platform, SERVICES[name]) as client:
        answer = await client.get(PATH, headers=bearer)
        refused = await client.get(PATH)

    assert (answer.status_code, refused.status_code) == (200, 401)
    assert answer.json() == SERVICES[name].data_map().document()


async def test_k20_another_service_is_not_shown_it(platform):
    with platform.variables_of("consent"):
        tokens = ServiceTokens.of("consent", SERVICES["consent"].settings())
    bearer = {"Authorization": f"Bearer {tokens.issue('identity')}"}
    async with opened(platform, IDENTITY) as client:
        assert (await client.get(PATH, headers=bearer)).status_code == 403

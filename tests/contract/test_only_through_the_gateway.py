"""On a service's own port nobody gets a person's data with a person's token alone."""

import asyncio
import re
from datetime import UTC, datetime

import pytest
from fastapi.routing import APIRoute
from httpx2 import ASGITransport, AsyncClient

from chassis.ids import new_id
from chassis.service_auth import GATEWAY_TOKEN_HEADER, ServiceTokens
from consent.main import CONSENT
from consent.settings import ConsentSettings
from identity.main import IDENTITY
from identity.models import Session
from identity.settings import IdentitySettings
from identity.tokens import AuthorizedSession, TokenIssuer
from storage.main import STORAGE
from storage.settings import StorageSettings

SERVICES = {
    "identity": (IdentitySettings, IDENTITY.create_api),
    "consent": (ConsentSettings, CONSENT.create_api),
    "storage": (StorageSettings, STORAGE.create_api),
}
OPEN = re.compile(r"/health(/.*)?|/openapi\.json|/\.well-known/jwks\.json")


def routes_of(router):
    """Return every method and address of an application, with something in the place of ids."""
    found = []
    for route in router.routes:
        if isinstance(route, APIRoute):
            path = re.sub(r"{[^}]+}", str(new_id()), route.path)
            found += [(method, path) for method in route.methods]
        elif hasattr(route, "original_router"):
            found += routes_of(route.original_router)
    return found


@pytest.fixture
def access_token(platform) -> str:
    """Return a token as identity signs it, of a session that it may have ended a moment ago."""
    with platform.variables_of("identity"):
        issuer = TokenIssuer(IdentitySettings())
    now = datetime.now(UTC)
    session = Session(id=new_id(), user_id=new_id(), generation=1, authenticated_at=now, rotated_at=now)
    return issuer.access_token(AuthorizedSession(session, email_verified=True), now=now)[0]


@pytest.fixture(params=SERVICES)
def app(request, platform):
    settings_class, create_api = SERVICES[request.param]
    with platform.variables_of(request.param):
        settings = settings_class()
    app = create_api(settings)
    app.state.service_tokens = ServiceTokens.of(request.param, settings)
    # Nothing else is there: whoever is let past the door gets no 401.
    app.state.service = object()
    return app


async def statuses(app, headers):
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://service", headers=headers) as anybody:
        routes = routes_of(app)
        answers = await asyncio.gather(*(anybody.request(method, path) for method, path in routes))
    return {
        f"{method} {path}": answer.status_code
        for (method, path), answer in zip(routes, answers, strict=True)
        if not OPEN.fullmatch(path)
    }


async def test_every_route_refuses_a_persons_token_without_the_gateways(app, access_token) -> None:
    found = await statuses(app, {"Authorization": f"Bearer {access_token}"})
    assert len(found) >= 5
    assert set(found.values()) == {401}, found


async def test_no_route_for_services_takes_the_gateways_word_for_a_person(app, platform) -> None:
    service = app.title.split()[-1]
    proof = platform.gateway_proof(service)()
    found = await statuses(app, {GATEWAY_TOKEN_HEADER: proof})
    inside = {name: status for name, status in found.items() if "/internal/" in name}
    assert inside or service == "storage"
    assert set(inside.values()) <= {401}, inside

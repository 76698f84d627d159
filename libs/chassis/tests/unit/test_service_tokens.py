import json
from datetime import timedelta
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Request
from httpx2 import ASGITransport, AsyncClient

from chassis.problems import Unauthorized, install_problem_handlers
from chassis.service_auth import FORWARDER_TOKEN_HEADER, ServiceTokens, client_address, require_service
from chassis.testing import FrozenClock

DEVICE = "203.0.113.9"


@pytest.fixture
def keys(make_key):
    return {name: make_key(name) for name in ("identity", "consent", "storage", "gateway")}


@pytest.fixture
def tokens_of(keys):
    """Return a function that makes a service's tokens with its own key and everybody's public ones."""

    def of(service, clock=None):
        public = {name: key.jwk for name, key in keys.items()}
        return ServiceTokens(service, private_key=keys[service].pem, public_keys=public, clock=clock)

    return of


@pytest.fixture
async def identity(tokens_of):
    """An API of identity: one route for storage alone, one that tells where a call came from."""
    app = FastAPI()
    install_problem_handlers(app)
    app.state.service_tokens = tokens_of("identity")

    @app.get("/internal")
    async def internal(caller: Annotated[str, Depends(require_service("storage"))]) -> str:
        return caller

    @app.get("/address")
    async def address(request: Request) -> str | None:
        return client_address(request)

    async with AsyncClient(
        transport=ASGITransport(app, client=("10.0.0.1", 1)), base_url="http://i"
    ) as client:
        yield client


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


async def test_named_service_is_admitted(identity, tokens_of):
    answer = await identity.get("/internal", headers=bearer(tokens_of("storage").issue("identity")))
    assert (answer.status_code, answer.json()) == (200, "storage")


async def test_service_that_is_not_named_is_forbidden(identity, tokens_of):
    answer = await identity.get("/internal", headers=bearer(tokens_of("consent").issue("identity")))
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer"}, {"Authorization": "Basic c3RvcmFnZTp4"}])
async def test_caller_without_a_token_is_refused(header, identity):
    assert (await identity.get("/internal", headers=header)).status_code == 401


async def test_token_for_another_service_is_refused(identity, tokens_of):
    answer = await identity.get("/internal", headers=bearer(tokens_of("storage").issue("consent")))
    assert answer.status_code == 401


async def test_token_ends_after_a_minute_and_half_a_minute_of_grace(tokens_of):
    clock = FrozenClock()
    clock.advance(timedelta(seconds=-60 - 20))
    verifier = tokens_of("identity")
    assert verifier.verify(tokens_of("storage", clock).issue("identity")) == "storage"
    clock.advance(timedelta(seconds=-20))
    with pytest.raises(Unauthorized):
        verifier.verify(tokens_of("storage", clock).issue("identity"))


async def test_token_from_the_future_is_refused(tokens_of):
    clock = FrozenClock()
    clock.advance(timedelta(seconds=120))
    with pytest.raises(Unauthorized):
        tokens_of("identity").verify(tokens_of("storage", clock).issue("identity"))


def service_header(kid):
    return {"alg": "ES256", "typ": "svc+jwt", "kid": kid}


def service_claims(claims, **changed):
    said = claims(iss="storage", aud="identity")
    return {**{name: said[name] for name in ("iss", "aud", "iat", "exp", "jti")}, **changed}


FORGED = {
    "storage speaking as the gateway": lambda keys, said: keys["storage"].sign(
        service_header("gateway"), {**said, "iss": "gateway"}
    ),
    "the gateway's name in the claims only": lambda keys, said: keys["storage"].sign(
        service_header("storage"), {**said, "iss": "gateway"}
    ),
    "unknown service": lambda keys, said: keys["storage"].sign(
        service_header("billing"), {**said, "iss": "billing"}
    ),
    "an access token": lambda keys, said: keys["storage"].sign(
        {**service_header("storage"), "typ": "at+jwt"}, said
    ),
    "no expiry": lambda keys, said: keys["storage"].sign(
        service_header("storage"), {name: value for name, value in said.items() if name != "exp"}
    ),
    "endless expiry": lambda keys, said: keys["storage"].sign(
        service_header("storage"), {**said, "exp": float("inf")}
    ),
    "its own key along": lambda keys, said: keys["storage"].sign(
        {**service_header("storage"), "jwk": keys["storage"].jwk}, said
    ),
    "an audience twice": lambda keys, said: keys["storage"].sign(
        service_header("storage"),
        json.dumps(said).replace("{", '{"aud": "consent", ', 1).encode(),
    ),
    "rubbish": lambda keys, said: "rubbish",
    "empty": lambda keys, said: "",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
async def test_forged_service_token_is_refused(forge, keys, tokens_of, claims):
    said = service_claims(claims)
    assert tokens_of("identity").verify(keys["storage"].sign(service_header("storage"), said)) == "storage"
    with pytest.raises(Unauthorized):
        tokens_of("identity").verify(forge(keys, said))


async def test_address_is_the_peers_unless_the_gateway_vouches_for_another(identity, tokens_of):
    async def seen_from(**headers):
        return (await identity.get("/address", headers=headers)).json()

    async def forwarded_with(proof):
        return await seen_from(**{"X-Forwarded-For": DEVICE, FORWARDER_TOKEN_HEADER: proof})

    assert await seen_from() == "10.0.0.1"
    assert await seen_from(**{"X-Forwarded-For": DEVICE}) == "10.0.0.1"
    assert await forwarded_with("rubbish") == "10.0.0.1"
    assert await forwarded_with(tokens_of("storage").issue("identity")) == "10.0.0.1"
    assert await forwarded_with(tokens_of("gateway").issue("consent")) == "10.0.0.1"
    assert await forwarded_with(tokens_of("gateway").issue("identity")) == DEVICE
    assert await seen_from(**{FORWARDER_TOKEN_HEADER: tokens_of("gateway").issue("identity")}) == "10.0.0.1"

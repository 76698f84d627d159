import json
import time
from datetime import timedelta
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, Request
from httpx2 import ASGITransport, AsyncClient

from chassis import auth, service_auth
from chassis.api import create_app
from chassis.callers import client_address, require_service
from chassis.problems import Unauthorized
from chassis.service_auth import GATEWAY_TOKEN_HEADER, ServiceTokens
from support import FrozenClock

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
async def identity(tokens_of, settings):
    """An API of identity: one route for storage alone, one that tells where a call came from."""
    router = APIRouter()

    @router.get("/internal/name")
    async def internal(caller: Annotated[str, Depends(require_service("storage"))]) -> str:
        return caller

    @router.get("/address")
    async def address(request: Request) -> str | None:
        return client_address(request)

    app = create_app(settings, title="Identity", routers=[router], checks={})
    app.state.service_tokens = tokens_of("identity")
    async with AsyncClient(
        transport=ASGITransport(app, client=("10.0.0.1", 1)), base_url="http://i"
    ) as client:
        yield client


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


async def test_named_service_is_admitted(identity, tokens_of):
    answer = await identity.get("/internal/name", headers=bearer(tokens_of("storage").issue("identity")))
    assert (answer.status_code, answer.json()) == (200, "storage")


async def test_service_that_is_not_named_is_forbidden(identity, tokens_of):
    answer = await identity.get("/internal/name", headers=bearer(tokens_of("consent").issue("identity")))
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer"}, {"Authorization": "Basic c3RvcmFnZTp4"}])
async def test_caller_without_a_token_is_refused(header, identity):
    assert (await identity.get("/internal/name", headers=header)).status_code == 401


async def test_token_for_another_service_is_refused(identity, tokens_of):
    answer = await identity.get("/internal/name", headers=bearer(tokens_of("storage").issue("consent")))
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
    said = claims(iss="storage", aud="identity", exp=int(time.time()) + 60)
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


async def test_address_is_what_the_gateway_says_and_the_peers_when_it_says_nothing(identity, tokens_of):
    proof = {GATEWAY_TOKEN_HEADER: tokens_of("gateway").issue("identity")}
    assert (await identity.get("/address", headers={**proof, "X-Forwarded-For": DEVICE})).json() == DEVICE
    assert (await identity.get("/address", headers=proof)).json() == "10.0.0.1"


REFUSED = {
    "no token": (401, lambda tokens_of: None),
    "rubbish": (401, lambda tokens_of: "rubbish"),
    "letters of another alphabet": (401, lambda tokens_of: "\u00fc\u00df".encode("latin-1")),
    "the gateway's token for another service": (401, lambda tokens_of: tokens_of("gateway").issue("consent")),
    "another service's token": (403, lambda tokens_of: tokens_of("storage").issue("identity")),
    "its own token": (403, lambda tokens_of: tokens_of("identity").issue("identity")),
}


@pytest.mark.parametrize(("status", "make"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("path", ["/address", "/nowhere", "/internally", "/healthy", "/docs", "/"])
async def test_public_route_answers_nobody_but_the_gateway(path, status, make, identity, tokens_of):
    proof = make(tokens_of)
    answer = await identity.get(path, headers={} if proof is None else {GATEWAY_TOKEN_HEADER: proof})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "10.0.0.1" not in answer.text


async def test_health_and_the_description_of_the_api_are_open(identity):
    for path in ("/health", "/health/liveness", "/health/readiness", "/openapi.json"):
        assert (await identity.get(path)).status_code == 200


async def test_token_that_lives_for_longer_than_a_minute_is_refused(keys, tokens_of, claims):
    now = int(time.time())
    for lifetime, refused in ((60, False), (61, True), (31_536_000, True), (0, True), (-5, True)):
        said = service_claims(claims, iat=now, exp=now + lifetime)
        token = keys["storage"].sign(service_header("storage"), said)
        if refused:
            with pytest.raises(Unauthorized):
                tokens_of("identity").verify(token)
        else:
            assert tokens_of("identity").verify(token) == "storage"


async def test_token_is_read_once_and_believed_until_it_expires(keys, tokens_of, claims, monkeypatch):
    verifier = tokens_of("identity")
    now = int(time.time())
    token = keys["storage"].sign(service_header("storage"), service_claims(claims, iat=now - 58, exp=now + 2))
    reads = []
    read = verifier._read
    monkeypatch.setattr(verifier, "_read", lambda token: reads.append(token) or read(token))
    assert {verifier.verify(token) for _ in range(50)} == {"storage"}
    assert len(reads) == 1
    monkeypatch.setattr(auth.time, "time", lambda: now + 3.0)
    verifier.verify(token)
    assert len(reads) == 2


async def test_made_up_tokens_are_not_remembered_and_good_ones_not_without_end(tokens_of):
    verifier = tokens_of("identity")
    for number in range(1000):
        with pytest.raises(Unauthorized):
            verifier.verify(f"rubbish {number}")
    for _ in range(service_auth.MOST_REMEMBERED + 50):
        verifier.verify(tokens_of("storage").issue("identity"))
    assert len(verifier._verified) == service_auth.MOST_REMEMBERED


async def test_service_calls_with_one_token_for_half_a_minute(tokens_of):
    clock = FrozenClock()
    storage = tokens_of("storage", clock)
    first = storage.issue("identity")
    assert storage.issue("consent") != first
    clock.advance(timedelta(seconds=29))
    assert storage.issue("identity") == first
    clock.advance(timedelta(seconds=1))
    assert storage.issue("identity") != first

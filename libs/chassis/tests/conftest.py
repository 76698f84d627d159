"""Keys and tokens made by hand, so that they can be spoiled, and an application around a test's routes."""

import base64
import contextlib
import io
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import APIRouter, FastAPI
from httpx2 import ASGITransport, AsyncClient
from jwt.algorithms import ECAlgorithm

from chassis.api import create_app
from chassis.health import HealthCheck
from chassis.ids import new_id
from chassis.service_auth import ServiceTokens
from chassis.settings import ServiceSettings
from chassis.telemetry import configure_logging
from support.gateway import gateway_proof, through_gateway

ISSUER = "https://irisvue.example"
AUDIENCE = "irisvue-api"


def encoded(part: bytes | dict[str, Any]) -> str:
    if isinstance(part, dict):
        part = json.dumps(part).encode()
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


class Key:
    """An EC P-256 key and what it signs."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self.jwk: dict[str, Any] = {**ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True), "kid": kid}

    def sign(self, header: bytes | dict[str, Any], claims: bytes | dict[str, Any]) -> str:
        """Return a token whose signature is right, whatever it says."""
        signed = f"{encoded(header)}.{encoded(claims)}"
        signature = self.private.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(signature)
        return f"{signed}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    @property
    def header(self) -> dict[str, Any]:
        return {"alg": "ES256", "typ": "at+jwt", "kid": self.kid}


def good_claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(new_id()),
        "sid": str(new_id()),
        "jti": str(new_id()),
        "iat": now,
        "exp": now + 600,
        "auth_time": now,
        **changed,
    }
    return {name: value for name, value in good.items() if value is not None}


@pytest.fixture
def key() -> Key:
    return Key("key-1")


@pytest.fixture
def another_key() -> Key:
    return Key("key-2")


@pytest.fixture
def claims() -> Callable[..., dict[str, Any]]:
    """Return a function that makes the claims of a good access token; a change to None takes a claim away."""
    return good_claims


@pytest.fixture
def make_key() -> type[Key]:
    """Return what makes a key of a given name."""
    return Key


@pytest.fixture
def settings(key: Key) -> ServiceSettings:
    return ServiceSettings(port=0, service_key=key.pem, service_public_keys={"gateway": key.jwk})


@pytest.fixture
def checks() -> dict[str, HealthCheck]:
    """Return the parts that the application under test needs; a test module may override it."""
    return {}


@pytest.fixture
def unlimited_paths() -> list[str]:
    return []


@pytest.fixture
def app(
    settings: ServiceSettings,
    routes: list[APIRouter],
    checks: dict[str, HealthCheck],
    unlimited_paths: list[str],
) -> FastAPI:
    """Return an application with the routes that the test module declares."""
    return create_app(
        settings, title="Under test", routers=routes, checks=checks, unlimited_paths=unlimited_paths
    )


@pytest.fixture
def behind_gateway(settings: ServiceSettings, key: Key) -> Callable[[FastAPI], dict[str, Any]]:
    """Return a function that puts an application behind a gateway: what its clients are made with."""

    def behind(app: FastAPI) -> dict[str, Any]:
        app.state.service_tokens = ServiceTokens.of("service", settings)
        return {
            "transport": ASGITransport(app),
            "event_hooks": through_gateway(gateway_proof(key.pem, "service")),
        }

    return behind


@pytest.fixture
async def client(
    app: FastAPI, behind_gateway: Callable[[FastAPI], dict[str, Any]]
) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url="http://service", **behind_gateway(app)) as client:
        yield client


@pytest.fixture
def logged() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Log as a service does; return a function that lists every line written since the test began."""
    root = logging.getLogger()
    before = root.handlers, root.level
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        writer = configure_logging(service="under-test", level="INFO")

    def lines() -> list[dict[str, Any]]:
        writer.drain()
        return [json.loads(line) for line in output.getvalue().splitlines()]

    yield lines
    root.handlers, root.level = before
    structlog.reset_defaults()

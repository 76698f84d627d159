"""The consent service on real servers, with a clock and signing keys of the test's own."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from jwt.algorithms import ECAlgorithm

from chassis.auth import AccessTokens, KeySet
from chassis.erasure import ErasureParticipation, OpenErasure
from chassis.holdings import Holdings
from chassis.ids import new_id
from chassis.service_auth import ServiceTokens
from chassis.settings import JsonObject
from consent.holdings import HOLDINGS
from consent.main import CONSENT
from consent.obligations import ObligationKind
from consent.rule_files import load_rulebook
from consent.settings import ConsentSettings
from consent.wiring import Service, open_service
from contracts.fields import ConsentType
from contracts.participation import ErasureReported
from support import FrozenClock
from support.gateway import through_gateway
from support.platform import Platform

VERSION = "2026-01"
TODAY = FrozenClock().now().date()
RULES = load_rulebook()


class Issuer:
    """Signs access tokens as identity does."""

    def __init__(self, issuer: str, audience: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self._pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._jwk = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "test"}
        self._claims = {"iss": issuer, "aud": audience}
        self.verifier = AccessTokens(KeySet(self._keys), issuer=issuer, audience=audience)

    async def _keys(self) -> dict[str, Any]:
        return {"keys": [self._jwk]}

    def token(self, user_id: UUID, **claims: Any) -> str:
        now = int(time.time())
        personal = {"sub": str(user_id), "sid": str(uuid4()), "jti": str(uuid4())}
        times = {"iat": now, "auth_time": now, "exp": now + 600}
        headers = {"typ": "at+jwt", "kid": "test"}
        return jwt.encode({**self._claims, **personal, **times, **claims}, self._pem, "ES256", headers)


@dataclass(frozen=True)
class Person:
    """Somebody with the app in hand."""

    id: UUID
    client: AsyncClient
    headers: dict[str, str]

    async def call(self, method: str, path: str, **content: Any) -> Any:
        return await self.client.request(method, f"/api/v1/privacy{path}", headers=self.headers, **content)

    async def agree(
        self,
        consent_type: str = "biometric_capture",
        jurisdiction: str = "gdpr",
        version: str | None = None,
        **more: Any,
    ) -> Any:
        """Agree to the current text, signed where a written release is asked for."""
        body = {
            "consent_type": consent_type,
            "jurisdiction": jurisdiction,
            "consent_text_version": version or VERSION,
            **more,
        }
        regime = RULES.regimes.get(jurisdiction.lower())
        if regime is not None and isinstance(consent_type, str) and consent_type in set(ConsentType):
            body["consent_text_version"] = version or regime.current_text(consent_type, TODAY).version
            if regime.ruleset(TODAY).duties(TODAY).has(ObligationKind.WRITTEN_RELEASE, consent_type):
                body["metadata"] = {"signature": "Ann Example"} | (more.get("metadata") or {})
        return await self.call("POST", "/consent", json=body)

    async def withdraw(self, consent_id: str) -> Any:
        return await self.call("POST", f"/consent/{consent_id}/withdraw")

    async def consents(self) -> list[dict[str, Any]]:
        answer = await self.call("GET", "/consent")
        assert answer.status_code == 200
        listed: list[dict[str, Any]] = answer.json()["consents"]
        return listed


@pytest.fixture(scope="session")
def settings(platform: Platform) -> ConsentSettings:
    platform.migrate("consent")
    with platform.variables_of("consent"):
        return ConsentSettings()


@pytest.fixture
async def service(
    platform: Platform, settings: ConsentSettings, clock: FrozenClock
) -> AsyncIterator[Service]:
    await platform.clean("consent")
    async with open_service(settings, clock) as service:
        yield service


@pytest.fixture
def issuer(settings: ConsentSettings) -> Issuer:
    return Issuer(settings.access_token_issuer, settings.access_token_audience)


@pytest.fixture
def app(settings: ConsentSettings, service: Service, issuer: Issuer) -> FastAPI:
    app = CONSENT.create_api(settings)
    CONSENT.install(app, service)
    app.state.access_tokens = issuer.verifier
    return app


@pytest.fixture
async def client(app: FastAPI, platform: Platform) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(app, raise_app_exceptions=False)
    hooks = through_gateway(platform.gateway_proof("consent"))
    async with AsyncClient(transport=transport, base_url="http://consent", event_hooks=hooks) as client:
        yield client


@pytest.fixture
def person(client: AsyncClient, issuer: Issuer) -> Callable[[], Person]:
    def somebody(user_id: UUID | None = None, **claims: Any) -> Person:
        user_id = user_id or new_id()
        return Person(user_id, client, {"Authorization": f"Bearer {issuer.token(user_id, **claims)}"})

    return somebody


@pytest.fixture
def ask(client: AsyncClient, platform: Platform, settings: ConsentSettings) -> Callable[..., Any]:
    """Ask as another service does: `await ask(user_id, consent_type)`."""

    async def answer(
        user_id: UUID,
        consent_type: str = "biometric_capture",
        *,
        caller: str = "storage",
        place: dict[str, str] | None = None,
    ) -> Any:
        key = platform.servers.values[f"{caller.upper()}_SERVICE_KEY"].replace("\\n", "\n")
        keys: JsonObject = settings.service_public_keys
        token = ServiceTokens(caller, private_key=key, public_keys=keys).issue("consent")
        return await client.get(
            f"/internal/consents/{user_id}/{consent_type}",
            params=place,
            headers={"Authorization": f"Bearer {token}"},
        )

    return answer


@pytest.fixture
async def admin(platform: Platform, service: Service) -> AsyncIterator[asyncpg.Connection]:
    """A superuser, who sees what the service may not."""
    connection = await platform.connect_as_admin()
    yield connection
    await connection.close()


@pytest.fixture
def open_erasure(service: Service) -> Callable[..., Any]:
    """Take on the erasure of a person as the worker does: `await open_erasure(user_id)`."""
    participation = ErasureParticipation(
        service.database, Holdings(service, HOLDINGS), reported=ErasureReported.by("consent")
    )

    async def accept(user_id: UUID) -> None:
        now = service.clock.now()
        async with service.unit_of_work() as uow:
            await participation.accept(uow, OpenErasure(new_id(), user_id, now, now))

    return accept


@pytest.fixture
def unlimited(app: FastAPI, service: Service, issuer: Issuer) -> Service:
    """The service without a bound to how often somebody may change their mind."""
    settings = service.settings.model_copy(update={"changes_per_hour": 1_000_000})
    changed = replace(service, settings=settings)
    CONSENT.install(app, changed)
    app.state.access_tokens = issuer.verifier
    return changed

"""The composition root of the consent service."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from chassis.api import create_app
from chassis.auth import AccessTokens, KeySet
from chassis.clock import Clock, SystemClock
from chassis.db import Database
from chassis.erasure import ErasureParticipation
from chassis.http import ServiceClient
from chassis.reconcile import OpenErasures
from chassis.service_auth import ServiceTokens
from chassis.settings import key_bytes
from chassis.worker import Periodic, Worker
from consent.api import internal, router
from consent.consumers import consumers
from consent.geography import Geography
from consent.models import SCHEMA
from consent.rulebook import load_rulebook
from consent.settings import ConsentSettings
from consent.wiring import ConsentParticipant, Service
from contracts.consent import ConsentErasureReported, ConsentParticipantJoined


def create_service(settings: ConsentSettings, *, process: str, clock: Clock | None = None) -> Service:
    """Build what the processes of this service share; `process` names their database connections."""
    rulebook = load_rulebook()
    return Service(
        settings=settings,
        database=Database(
            settings.database_url,
            schema=SCHEMA,
            tombstone_key=key_bytes(settings.tombstone_key),
            application_name=f"consent-{process}",
            pool_size=settings.database_pool_size,
            overflow=settings.database_pool_overflow,
            clock=clock,
        ),
        rulebook=rulebook,
        geography=Geography(settings.geoip_db_path, rulebook),
        service_tokens=ServiceTokens.of("consent", settings),
        clock=clock or SystemClock(),
    )


def create_api(settings: ConsentSettings, *, clock: Clock | None = None) -> FastAPI:
    """Build the HTTP process."""
    service = create_service(settings, process="api", clock=clock)
    identity = ServiceClient(settings.identity_url, audience="identity", tokens=None)

    async def signing_keys() -> dict[str, Any]:
        return await identity.get("/.well-known/jwks.json")

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with identity:
            yield
        service.geography.close()
        await service.database.close()

    app = create_app(
        settings,
        title="IrisVue consent",
        routers=[router, internal],
        checks={"db": service.database.ping},
        lifespan=lifespan,
    )
    app.state.service = service
    app.state.service_tokens = service.service_tokens
    app.state.access_tokens = AccessTokens(
        KeySet(signing_keys), issuer=settings.access_token_issuer, audience=settings.access_token_audience
    )
    return app


async def create_worker(settings: ConsentSettings, *, clock: Clock | None = None) -> Worker:
    """Build the process that relays, consumes and erases; await it inside the loop that runs it."""
    service = create_service(settings, process="worker", clock=clock)
    participation = ErasureParticipation(
        service.database, ConsentParticipant(service.database), reported=ConsentErasureReported
    )
    resources = AsyncExitStack()
    identity = await resources.enter_async_context(
        ServiceClient(settings.identity_url, audience="identity", tokens=service.service_tokens)
    )
    open_erasures = OpenErasures(identity)
    return Worker(
        settings=settings,
        database=service.database,
        consumers=consumers(participation),
        loops={"erase": participation.run},
        periodic=[
            Periodic(
                "reconcile-erasures",
                settings.reconcile_seconds,
                lambda: participation.reconcile(open_erasures),
            )
        ],
        announce=ConsentParticipantJoined.of(handles=("erasure",), version=settings.version),
        resources=resources,
    )

"""Composition root: builds the API and the worker of consent; nothing runs at import."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from chassis.api import create_app
from chassis.auth import AccessTokens, KeySet
from chassis.erasure import ErasureParticipation
from chassis.idempotency import Idempotency
from chassis.reconcile import OpenErasures
from chassis.worker import Periodic, Worker
from consent.api import internal, public
from consent.consumers import consumers
from consent.settings import ConsentSettings
from consent.use_cases.erase_person import ConsentHoldings
from consent.use_cases.expire_consents import expire_consents
from consent.wiring import Service, open_service
from contracts.consent import ConsentErasureReported, ConsentParticipantJoined


def create_api(settings: ConsentSettings) -> FastAPI:
    """Return the HTTP side; its collaborators open with the application's lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_service(settings) as service:
            install(app, service)
            yield

    async def check_database() -> None:
        await app.state.service.database.ping()

    app = create_app(
        settings,
        title="IrisVue consent",
        routers=[public, internal],
        checks={"db": check_database},
        lifespan=lifespan,
    )
    return app


def install(app: FastAPI, service: Service) -> None:
    """Give the application its collaborators."""

    async def signing_keys() -> dict[str, Any]:
        return await service.identity.get("/.well-known/jwks.json")

    app.state.service = service
    app.state.service_tokens = service.service_tokens
    app.state.idempotency = Idempotency(service.database)
    app.state.access_tokens = AccessTokens(
        KeySet(signing_keys),
        issuer=service.settings.access_token_issuer,
        audience=service.settings.access_token_audience,
    )


async def create_worker(settings: ConsentSettings) -> Worker:
    """Return the worker: relay, the erase-user consumer, erasures and their reconciliation, expiries."""
    resources = AsyncExitStack()
    service = await resources.enter_async_context(open_service(settings))
    participation = ErasureParticipation(
        service.database, ConsentHoldings(service.database), reported=ConsentErasureReported
    )
    open_erasures = OpenErasures(service.identity)
    return Worker(
        settings=settings,
        database=service.database,
        consumers=consumers(participation),
        loops={"erasures": participation.run},
        periodic=[
            Periodic(
                "reconcile-erasures",
                settings.reconcile_seconds,
                lambda: participation.reconcile(open_erasures),
            ),
            Periodic(
                "expire-consents",
                settings.expiry_seconds,
                lambda: expire_consents(service.database, clock=service.clock),
            ),
        ],
        announce=ConsentParticipantJoined.of(handles=("erasure",), version=settings.version),
        resources=resources,
    )

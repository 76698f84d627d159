"""Composition root: builds the API and the worker of storage; nothing runs at import."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

from fastapi import FastAPI

from chassis.api import create_app
from chassis.auth import AccessTokens, KeySet
from chassis.erasure import ErasureParticipation
from chassis.idempotency import Idempotency
from chassis.reconcile import OpenErasures
from chassis.worker import Periodic, Worker
from contracts.storage import StorageErasureReported, StorageParticipantJoined
from storage.api import ROUTERS, UNLIMITED_PATHS
from storage.consumers import consumers
from storage.settings import StorageSettings
from storage.use_cases.erase_person import StorageHoldings
from storage.use_cases.expire_uploads import expire_uploads
from storage.use_cases.reconcile_consents import reconcile_consents
from storage.wiring import Service, open_service


def create_api(settings: StorageSettings) -> FastAPI:
    """Return the HTTP side; its collaborators open with the application's lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_service(settings) as service:
            install(app, service)
            yield

    async def check_databases() -> None:
        await app.state.service.ping_databases()

    async def check_store() -> None:
        await app.state.service.vault.check()

    app = create_app(
        settings,
        title="IrisVue storage",
        routers=ROUTERS,
        checks={"db": check_databases, "storage": check_store},
        lifespan=lifespan,
        unlimited_paths=UNLIMITED_PATHS,
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


async def create_worker(settings: StorageSettings) -> Worker:
    """Return the worker: relay, consumers, erasures, destructions and the sweeps of old uploads."""
    resources = AsyncExitStack()
    service = await resources.enter_async_context(open_service(settings))
    participation = participation_of(service)
    return Worker(
        settings=settings,
        database=service.database,
        consumers=consumers(service, participation),
        loops={"erasures": participation.run, "destructions": service.destroyer.run},
        periodic=_periodic_work(service, participation),
        checks={"keyring": service.keyring.ping, "storage": service.vault.check},
        announce=StorageParticipantJoined.of(handles=("erasure",), version=settings.version),
        resources=resources,
    )


def participation_of(service: Service) -> ErasureParticipation:
    """Return storage's part in every erasure."""
    holdings = StorageHoldings(service.database, service.vault, late_sweeps=service.late_sweeps)
    return ErasureParticipation(service.database, holdings, reported=StorageErasureReported)


def _periodic_work(service: Service, participation: ErasureParticipation) -> list[Periodic]:
    settings = service.settings
    open_erasures = OpenErasures(service.identity)

    async def expire() -> None:
        await expire_uploads(
            service.database,
            now=service.clock.now(),
            upload_takes=service.upload_takes,
            confirm_within=timedelta(hours=settings.confirm_hours),
        )

    async def compare_gates() -> None:
        now = service.clock.now()
        since = now - timedelta(seconds=settings.reconcile_seconds)
        await reconcile_consents(service.database, service.consents, now=now, unchecked_since=since)

    return [
        Periodic(
            "reconcile-erasures", settings.reconcile_seconds, lambda: participation.reconcile(open_erasures)
        ),
        Periodic("reconcile-consents", settings.reconcile_seconds, compare_gates),
        Periodic("expire-uploads", settings.expire_poll_seconds, expire),
    ]

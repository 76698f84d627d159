"""The gateway's composition root."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.api import Edge
from chassis.openapi import name_operation
from chassis.problems import install_problem_handlers
from gateway.api import document_routes, health_routes
from gateway.cors import Cors
from gateway.doorway import Doorway
from gateway.settings import GatewaySettings
from gateway.wiring import Service

# Every route has its own limit, which the proxy keeps.
_EVERY_PATH = re.compile("")
_OWN_PATHS = re.compile(r"(/api/v1)?/health(/.*)?|/|/docs(/.*)?|/openapi\.json|/asyncapi(\.json)?")


def create_api(settings: GatewaySettings, service: Service | None = None) -> ASGIApp:
    """Return the gateway: its own endpoints, and behind them everything that it forwards."""
    service = service or Service(settings)
    own = own_endpoints(settings, service)
    edge = Edge(Cors(_Fork(own, service.proxy), settings.cors_origins), unlimited=[_EVERY_PATH])
    return Doorway(edge, https_only=settings.environment == "production")


def own_endpoints(settings: GatewaySettings, service: Service) -> FastAPI:
    """Return what the gateway answers itself."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with service.opened():
            yield

    app = FastAPI(
        title="IrisVue",
        version=settings.version,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=name_operation,
    )
    install_problem_handlers(app)
    health = health_routes(service, settings.version)
    app.include_router(health)
    app.include_router(health, prefix="/api/v1", include_in_schema=False)
    app.include_router(document_routes(service))
    return app


class _Fork:
    """Sends the gateway's own addresses to its application and all others straight to the proxy."""

    def __init__(self, own: FastAPI, proxy: ASGIApp) -> None:
        self._own = own
        self._proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _OWN_PATHS.fullmatch(scope["path"]):
            await self._proxy(scope, receive, send)
            return
        # The server drops the body of an answer to HEAD.
        asked = {**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope
        await self._own(asked, receive, send)

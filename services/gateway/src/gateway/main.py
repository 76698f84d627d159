"""The gateway's composition root."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from chassis.api import Edge
from chassis.problems import install_problem_handlers
from gateway.api import health_routes, own_routes
from gateway.doorway import Doorway
from gateway.settings import GatewaySettings
from gateway.wiring import Service

# Every route has its own limit, which the proxy keeps.
_EVERY_PATH = re.compile("")


def create_api(settings: GatewaySettings, service: Service | None = None) -> ASGIApp:
    """Return the gateway: its own endpoints, and behind them everything that it forwards."""
    service = service or Service(settings)

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
    )
    install_problem_handlers(app)
    health = health_routes(service, settings.version)
    app.include_router(health)
    app.include_router(health, prefix="/api/v1", include_in_schema=False)
    app.include_router(own_routes(service, app))
    # What is none of the above is forwarded. A mount at "/" would also take POST /health, which is a 405.
    app.router.default = service.proxy
    app.add_middleware(Edge, unlimited=[_EVERY_PATH])
    return Doorway(app, https_only=settings.environment == "production")

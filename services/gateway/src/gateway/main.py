"""The gateway's composition root."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from socket import socket

from fastapi import FastAPI
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.edge import Edge
from chassis.openapi import name_operation
from chassis.problem_handlers import install_problem_handlers
from chassis.process import Part, Process, run_process
from chassis.server import new_event_loop
from gateway.api import constant_answers, document_routes, health_routes
from gateway.data_map import OFFICERS_PATH, data_map_route
from gateway.middleware import Cors, ResponseHeaders
from gateway.processes import run_processes
from gateway.published_keys import published_keys_route
from gateway.server import serve
from gateway.settings import GatewaySettings
from gateway.siblings import Pipes
from gateway.wiring import Service

# Every route has its own limit, which the proxy keeps.
_EVERY_PATH = re.compile("")
_OWN_PATHS = re.compile(
    r"(/api/v1)?/health(/.*)?|/|/docs(/.*)?|/openapi\.json|/asyncapi(\.json)?|/\.well-known/jwks\.json"
    rf"|{OFFICERS_PATH}"
)


def run_api(settings: GatewaySettings) -> None:
    """Run the gateway, in as many processes as its settings say, until it is told to stop."""
    if settings.processes == 1:
        _run_one(settings)
    else:
        run = partial(_run_one, settings)
        run_processes(settings.processes, run, host=settings.host, port=settings.port)


def _run_one(settings: GatewaySettings, listening: socket | None = None, pipes: Pipes | None = None) -> None:
    run_process(
        partial(_parts, settings, listening, pipes),
        grace_seconds=settings.stop_grace_seconds,
        loop_factory=new_event_loop,
    )


@asynccontextmanager
async def _parts(
    settings: GatewaySettings, listening: socket | None, pipes: Pipes | None, process: Process
) -> AsyncIterator[list[Part]]:
    service = Service(settings, pipes=pipes)
    app = create_api(settings, service, lambda: process.is_stopping)
    server = serve(app, host=settings.host, port=settings.port, grace_seconds=settings.stop_grace_seconds)
    async with service.opened() as own:
        yield [server.part("http", listening=listening), *own]


def create_api(
    settings: GatewaySettings, service: Service, is_stopping: Callable[[], bool] = lambda: False
) -> ASGIApp:
    """Return the gateway: its own endpoints, and behind them everything that it forwards."""
    own = own_endpoints(settings, service, is_stopping)
    edge = Edge(Cors(_Fork(own, service.proxy), settings.cors_origins), unlimited=[_EVERY_PATH])
    return ResponseHeaders(edge, https_only=settings.environment == "production")


def own_endpoints(
    settings: GatewaySettings, service: Service, is_stopping: Callable[[], bool] = lambda: False
) -> FastAPI:
    """Return what the gateway answers itself."""
    app = FastAPI(
        title="IrisVue",
        version=settings.version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=name_operation,
    )
    install_problem_handlers(app)
    health = health_routes(service, settings.version, is_stopping)
    app.include_router(health)
    app.include_router(health, prefix="/api/v1", include_in_schema=False)
    app.include_router(document_routes(service))
    app.include_router(data_map_route(service.data_map, service.admission))
    app.include_router(published_keys_route(service.published_keys, service.admission))
    return app


class _Fork:
    """Sends the gateway's own addresses to its application and all others straight to the proxy.

    Whether the gateway runs is asked for most often, by machines, and the answer is always the same.
    """

    def __init__(self, own: FastAPI, proxy: ASGIApp) -> None:
        self._own = own
        self._proxy = proxy
        self._constant = {
            f"{prefix}{path}": JSONResponse(answer)
            for path, answer in constant_answers(own.version).items()
            for prefix in ("", "/api/v1")
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _OWN_PATHS.fullmatch(scope["path"]):
            await self._proxy(scope, receive, send)
            return
        constant = self._constant.get(scope["path"]) if scope.get("method") in ("GET", "HEAD") else None
        if constant is not None:
            await constant(scope, receive, send)
            return
        # The server drops the body of an answer to HEAD.
        asked = {**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope
        await self._own(asked, receive, send)

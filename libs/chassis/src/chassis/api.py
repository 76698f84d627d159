"""The HTTP side of a service: one application factory, so that every service fails and reports alike."""

import re
import time
from collections.abc import Callable, Mapping, Sequence

import structlog
from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import context
from chassis.health import HealthCheck, health_router
from chassis.ids import new_id
from chassis.openapi import document_problems, name_operation
from chassis.problems import (
    ContentTooLarge,
    Problem,
    install_problem_handlers,
    problem_response,
    unexpected_error_response,
)
from chassis.service_auth import OnlyThroughGateway
from chassis.settings import ServiceSettings

MAX_BODY_BYTES = 1_000_000
CLIENT_GONE = 499  # What servers log for a client that did not wait.
_REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{1,128}$")

log = structlog.get_logger(__name__)


def create_app(
    settings: ServiceSettings,
    *,
    title: str,
    routers: Sequence[APIRouter],
    checks: Mapping[str, HealthCheck],
    unlimited_paths: Sequence[str] = (),
    is_stopping: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """Return an application with problems, request ids, logs, limits and health, behind the gateway.

    `unlimited_paths` are regular expressions of paths whose routes limit the body themselves. A process that
    `is_stopping` is not ready, whatever the checks say.
    """
    app = FastAPI(
        title=title,
        version=settings.version,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        generate_unique_id_function=name_operation,
    )
    install_problem_handlers(app)
    app.include_router(health_router(settings.version, checks, is_stopping))
    for router in routers:
        app.include_router(router)
    document_problems(app)
    app.add_middleware(OnlyThroughGateway)
    app.add_middleware(Edge, unlimited=[re.compile(pattern) for pattern in unlimited_paths])
    return app


class Edge:
    """The outermost layer: identifies the request, bounds its body, logs it, catches what nobody caught."""

    def __init__(self, app: ASGIApp, *, unlimited: Sequence[re.Pattern[str]] = ()) -> None:
        self._app = app
        self._unlimited = unlimited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        incoming = headers.get(b"x-request-id", b"")
        request_id = incoming.decode() if _REQUEST_ID.match(incoming) else str(new_id())
        context.request_id.set(request_id)
        context.arrived.set(time.monotonic())
        context.traceparent.set(context.continued_trace(headers.get(b"traceparent", b"").decode("latin-1")))
        answer = _Answer(send, request_id)
        started = time.perf_counter()
        try:
            await self._app(scope, self._bounded(scope, receive, headers), answer.send)
        except ClientDisconnect:
            # Nobody is left to be answered, and nobody here is to blame.
            answer.status = answer.status or CLIENT_GONE
        except Problem as problem:
            await answer.replace(problem_response(problem), scope, receive)
        except Exception as error:  # noqa: BLE001 - the last resort; it is logged and answered
            await answer.replace(unexpected_error_response(error), scope, receive)
        finally:
            _log_access(scope, answer.status, time.perf_counter() - started)

    def _bounded(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> Receive:
        if any(pattern.match(scope["path"]) for pattern in self._unlimited):
            return receive
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > MAX_BODY_BYTES:
            raise ContentTooLarge(MAX_BODY_BYTES)
        received = 0

        async def bounded_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                # FastAPI turns every other error of a body that it reads into a 400.
                raise HTTPException(ContentTooLarge.status) from ContentTooLarge(MAX_BODY_BYTES)
            return message

        return bounded_receive


class _Answer:
    """Passes the answer on with our headers, and knows whether it has begun."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [
                (b"x-request-id", self._request_id.encode()),
                (b"x-content-type-options", b"nosniff"),
                (b"referrer-policy", b"no-referrer"),
            ]
            headers = list(message.get("headers", []))
            if not any(name.lower() == b"cache-control" for name, _ in headers):
                own.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*headers, *own]}
        await self._send(message)

    async def replace(self, response: ASGIApp, scope: Scope, receive: Receive) -> None:
        if self.status:
            # Half an answer can't be taken back; ending the connection keeps it from looking whole.
            raise ConnectionAbortedError("the answer had begun when it failed")
        await response(scope, receive, self.send)


def _log_access(scope: Scope, status: int, seconds: float) -> None:
    if scope["path"].startswith("/health"):
        return
    route = scope.get("route")
    log.info(
        "request",
        method=scope["method"],
        # The template, never the address itself: an address carries ids, and its query may carry rights.
        route=getattr(route, "path", "unmatched"),
        status=status,
        milliseconds=round(seconds * 1000, 1),
    )

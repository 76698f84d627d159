"""The outermost layer of everything that answers HTTP; it needs no framework."""

import re
import time
from collections.abc import Sequence

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import context
from chassis.faults import is_transient
from chassis.ids import new_id
from chassis.problems import PROBLEM_JSON, ContentTooLarge, Problem, ServiceUnavailable, describe

MAX_BODY_BYTES = 1_000_000
CLIENT_GONE = 499  # What servers log for a client that did not wait.
_REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{1,128}$")

log = structlog.get_logger(__name__)


def problem_response(problem: Problem) -> Response:
    """Return the HTTP answer that carries `problem`."""
    document = problem.document()
    return JSONResponse(
        document, status_code=document["status"], headers=dict(problem.headers), media_type=PROBLEM_JSON
    )


def unexpected_error_response(error: Exception) -> Response:
    """Answer 503 for a fault that passes, else 500; the log gets the error's class, never its message."""
    if is_transient(error):
        log.warning("dependency_unavailable", error=type(error).__name__)
        return problem_response(ServiceUnavailable())
    log.error("unexpected_error", error=describe(error))
    return problem_response(Problem())


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

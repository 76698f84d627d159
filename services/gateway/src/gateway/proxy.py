"""The way through: bytes in, bytes out, nothing collected, every deadline kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import structlog
from aiohttp import ClientResponse
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from chassis import context
from chassis.auth import Principal
from chassis.problems import ContentTooLarge, Problem, ServiceUnavailable
from gateway.admission_control import AdmissionControl
from gateway.body import ClientGone, RequestBody
from gateway.deadline import Deadline
from gateway.headers import TrustedHeaders, forwarded_answer_headers, forwarded_request_headers
from gateway.problems import (
    BadRequest,
    PhotoTooLarge,
    RequestTimeout,
    UpstreamBroken,
    UpstreamTimeout,
)
from gateway.routes import Moved, Route, RoutingTable
from gateway.upstreams import UpstreamGone, Upstreams

log = structlog.get_logger(__name__)

HOLD_SECONDS = 20.0
HOLD_PAUSE_SECONDS = 0.25
MOST_HELD = 250
_UNAVAILABLE = 503
_SUCCESS = range(200, 300)
_PIECE_BYTES = 64 * 1024


class Proxy:
    """An ASGI application that answers every public route by asking the service that owns it."""

    def __init__(
        self,
        table: RoutingTable,
        admission: AdmissionControl,
        upstreams: Upstreams,
    ) -> None:
        self._table = table
        self._admission = admission
        self._upstreams = upstreams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; raises a Problem as long as nothing has been answered."""
        target = _target(scope)
        try:
            route = self._table.find(scope["method"], scope["raw_path"].decode("ascii"))
        except Moved as moved:
            await _redirect(moved.path, target)(scope, receive, send)
            return
        scope["route"] = route
        async with self._admission.admitted(route, scope) as caller:
            too_large = PhotoTooLarge if route.transfers else ContentTooLarge
            body = RequestBody(scope, receive, limit=route.body_limit, too_large=too_large)
            headers = self._request_headers(scope, route, caller.address, body.declared)
            exchange = _Exchange(
                route, caller.principal, self._admission, self._upstreams, body, method=scope["method"]
            )
            await exchange.run(target, headers, send)

    def _request_headers(
        self, scope: Scope, route: Route, address: str, length: int | None
    ) -> list[tuple[str, str]]:
        trusted = TrustedHeaders(
            client=address,
            scheme=scope["scheme"],
            request_id=context.request_id.get() or "",
            traceparent=context.traceparent.get() or "",
            service_token=self._upstreams.token_for(route.upstream),
        )
        headers = forwarded_request_headers(scope["headers"], trusted)
        return [*headers, ("Content-Length", str(length))] if length else headers


class _Exchange:
    """One request and its answer, watched for the deadline and for a client that goes away."""

    def __init__(
        self,
        route: Route,
        caller: Principal | None,
        admission: AdmissionControl,
        upstreams: Upstreams,
        body: RequestBody,
        *,
        method: str,
    ) -> None:
        self.body = body
        self._method = method
        self._route = route
        self._caller = caller
        self._admission = admission
        self._upstreams = upstreams
        self._places = admission.places
        self._deadline = Deadline(route.deadline)
        self._answering = False
        self._client_gone = False

    async def run(self, target: str, headers: list[tuple[str, str]], send: Send) -> None:
        """Carry the exchange to its end.

        Once the answer has begun, an error can only end the connection: returning early makes the server
        close it, so a cut answer never looks complete.
        """
        try:
            async with self._watched(), await self._ask(target, headers) as answer:
                await self._pass_on(answer, target.partition("?")[0], send)
        except (aiohttp.ClientError, OSError, TimeoutError, ClientGone) as error:
            if self._client_gone or isinstance(self.body.failure, ClientGone):
                log.info("client_left", route=self._route.path)
                return
            if self._answering:
                log.warning("answer_cut", route=self._route.path, error=type(error).__name__)
                return
            if self.body.failure is not None:
                raise self.body.failure from None
            raise self._explained(error) from error

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        async with self._deadline.kept():
            watcher = asyncio.create_task(self._end_when_client_leaves())
            try:
                yield
            finally:
                watcher.cancel()

    async def _end_when_client_leaves(self) -> None:
        await self.body.client_gone()
        self._client_gone = True
        self._deadline.end()

    async def _body(self) -> AsyncIterator[bytes]:
        """Yield the client's body; where it may take its time, the deadline waits for it."""
        if not self._route.transfers:
            async for chunk in self.body.chunks():
                yield chunk
            return
        self._deadline.client_turn()
        async for chunk in self.body.chunks():
            self._deadline.service_turn()
            yield chunk
            self._deadline.client_turn()
        self._deadline.service_turn()

    async def _ask(self, target: str, headers: list[tuple[str, str]]) -> ClientResponse:
        """Ask the service; only a GET is asked again, once, when the connection gave no answer."""
        method, upstream = self._method, self._route.upstream
        if self._route.held:
            return await self._ask_until_there(target, headers)
        if self.body.expected or method != "GET":
            body = self._body() if self.body.expected else None
            return await self._upstreams.send(
                method, upstream, target, headers=headers, body=body, expects=self.body.expects
            )
        try:
            return await self._upstreams.send(method, upstream, target, headers=headers)
        except (aiohttp.ClientConnectorError, UpstreamGone):
            return await self._upstreams.send(method, upstream, target, headers=headers)

    async def _ask_until_there(self, target: str, headers: list[tuple[str, str]]) -> ClientResponse:
        """Ask a service that may be away for a moment, until it answers or the patience of clients ends."""
        method, upstream = self._route.method, self._route.upstream
        body = b"".join([chunk async for chunk in self.body.chunks()])
        loop = asyncio.get_running_loop()
        until = loop.time() + HOLD_SECONDS
        while True:
            may_wait = loop.time() < until and self._places.waiting < MOST_HELD
            self._deadline.service_turn()
            try:
                answer = await self._upstreams.send(method, upstream, target, headers=headers, body=body)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, UpstreamGone):
                if not may_wait:
                    raise
            else:
                if answer.status != _UNAVAILABLE or not may_wait:
                    return answer
                answer.close()
            self._deadline.client_turn()
            with self._places.waits():
                await asyncio.sleep(HOLD_PAUSE_SECONDS)

    async def _pass_on(self, answer: ClientResponse, path: str, send: Send) -> None:
        if self._caller is not None and self._route.ends is not None and answer.status in _SUCCESS:
            # Before the client learns that its session is over, it is over here too.
            self._admission.end_sessions(
                self._caller, self._route.ends, path, answered=answer.headers.get("Date")
            )
        start: Message = {
            "type": "http.response.start",
            "status": answer.status,
            "headers": forwarded_answer_headers(answer.raw_headers, status=answer.status),
        }
        self._answering = True
        await send(start)
        more = True
        while more:
            chunk = await answer.content.read(_PIECE_BYTES)
            # A short answer has arrived as a whole, and goes on as a whole.
            more = not answer.content.at_eof()
            self._deadline.client_turn()
            await send({"type": "http.response.body", "body": chunk, "more_body": more})
            self._deadline.service_turn()

    def _explained(self, error: Exception) -> Problem:
        log.warning("upstream_failed", upstream=self._route.upstream.value, error=type(error).__name__)
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | UpstreamGone):
            return ServiceUnavailable()
        if isinstance(error, TimeoutError):
            arriving = self._deadline.waits_for_client if self._route.transfers else not self.body.complete
            return RequestTimeout() if arriving else UpstreamTimeout()
        return UpstreamBroken()


def _redirect(path: str, target: str) -> Response:
    """Return what leads to `path`, with the query of `target`; the method stays (RFC 9110 §15.4.9)."""
    query = target.partition("?")[2]
    return Response(status_code=308, headers={"Location": f"{path}?{query}" if query else path})


def _target(scope: Scope) -> str:
    """Return path and query exactly as they were sent; raises BadRequest for what is not ASCII."""
    query: bytes = scope["query_string"]
    try:
        path = scope["raw_path"].decode("ascii")
        return f"{path}?{query.decode('ascii')}" if query else path
    except UnicodeDecodeError:
        raise BadRequest from None

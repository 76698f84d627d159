"""What surrounds every request: the headers of its answer, an end for its body, and cross-origin calls."""

import asyncio
from collections.abc import Collection, Iterable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.headers import answer_headers, header

LINGER_SECONDS = 3.0
LINGER_BYTES = 16 * 1024 * 1024
_KEEP_ALIVE_BYTES = 64 * 1024
_HSTS = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")
_NO_CONTENT_LOADED = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
PREFLIGHT_SECONDS = 7200
"""As long as Chromium keeps the answer to a preflight at most."""
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = (
    "Accept-Language, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range, "
    "Last-Event-ID, Range, Sec-GPC, traceparent, Tus-Resumable, Upload-Checksum, Upload-Length, "
    "Upload-Metadata, Upload-Offset, X-Erasure-Token, X-Request-ID"
)
_EXPOSED_HEADERS = (
    "Accept-Ranges, Allow, Content-Range, ETag, Location, RateLimit, RateLimit-Policy, Retry-After, "
    "Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Expires, "
    "Upload-Length, Upload-Metadata, Upload-Offset, WWW-Authenticate, X-Request-ID"
)


class ResponseHeaders:
    """Adds security and rate-limit headers, and lingers on a client that still sends when it is answered."""

    def __init__(self, app: ASGIApp, *, https_only: bool) -> None:
        self._app = app
        self._https_only = https_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer_headers(scope)
        surrounded = _Surrounded(scope, receive, send, https_only=self._https_only)
        await self._app(scope, surrounded.receive, surrounded.send)


class _Surrounded:
    def __init__(self, scope: Scope, receive: Receive, send: Send, *, https_only: bool) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._https_only = https_only
        self._unread = _sends_body(scope)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": self._completed(message.get("headers", []))}
        elif self._unread and not message.get("more_body", False):
            # The answer goes out whole, but the connection ends only when the client has stopped sending or
            # its time is over: closing on unread bytes resets it, and the client would never see the answer.
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    def _completed(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        present = {name for name, _ in headers}
        own = [(name.lower().encode(), value.encode()) for name, value in answer_headers(self._scope).items()]
        own.append(_NO_CONTENT_LOADED)
        if self._https_only:
            own.append(_HSTS)
        if self._unread and _is_long(self._scope):
            own.append((b"connection", b"close"))
        # An answer varies by what its service says and by what we say.
        return [*headers, *(pair for pair in own if pair[0] not in present or pair[0] == b"vary")]

    async def _drain(self) -> None:
        dropped = 0
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while self._unread and dropped < LINGER_BYTES:
                    dropped += len((await self.receive()).get("body", b""))
        except TimeoutError:
            # The client had its time; it has the whole answer, and what it still sends is of no use.
            self._unread = False


def _sends_body(scope: Scope) -> bool:
    headers = scope["headers"]
    length = header(headers, b"content-length")
    return header(headers, b"transfer-encoding") is not None or length not in (None, "0")


def _is_long(scope: Scope) -> bool:
    length = header(scope["headers"], b"content-length")
    return length is None or not length.isdigit() or int(length) > _KEEP_ALIVE_BYTES


class Cors:
    """Answers preflights for every address, and marks every answer (Fetch, §3.2); without cookies."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and self._origins:
            told = answer_headers(scope)
            told["Vary"] = "Origin"
            origin = header(scope["headers"], b"origin")
            if origin in self._origins:
                told["Access-Control-Allow-Origin"] = origin
                if _is_preflight(scope):
                    await _PREFLIGHT(scope, receive, send)
                    return
                told["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
        await self._app(scope, receive, send)


_PREFLIGHT = Response(
    status_code=204,
    headers={
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _REQUEST_HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        "Cache-Control": f"max-age={PREFLIGHT_SECONDS}",
    },
)


def _is_preflight(scope: Scope) -> bool:
    asks = header(scope["headers"], b"access-control-request-method") is not None
    return scope["method"] == "OPTIONS" and asks

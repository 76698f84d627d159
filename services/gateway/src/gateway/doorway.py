"""The outermost layer: the headers of every answer, and an orderly end for bodies that nobody read."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.headers import header

LINGER_SECONDS = 3.0
LINGER_BYTES = 16 * 1024 * 1024
_ANSWER_HEADERS = "irisvue.answer_headers"
_KEEP_ALIVE_BYTES = 64 * 1024
_HSTS = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")
_NO_CONTENT_LOADED = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


def answer_headers(scope: Scope) -> dict[str, str]:
    """Return the headers that this request's answer will carry, whoever gives it; to be added to."""
    headers: dict[str, str] = scope.setdefault(_ANSWER_HEADERS, {})
    return headers


class Doorway:
    """Adds security and rate-limit headers; answers early without cutting off a client that still sends."""

    def __init__(self, app: ASGIApp, *, https_only: bool) -> None:
        self._app = app
        self._https_only = https_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer_headers(scope)
        visit = _Visit(scope, receive, send, https_only=self._https_only)
        await self._app(scope, visit.receive, visit.send)


class _Visit:
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
            message = {**message, "headers": self._completed(list(message.get("headers", [])))}
        elif self._unread and not message.get("more_body", False):
            # The answer goes out whole, but the connection ends only when the client has stopped sending or
            # its time is over: closing on unread bytes resets it, and the client would never see the answer.
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    def _completed(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        present = {name.lower() for name, _ in headers}
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

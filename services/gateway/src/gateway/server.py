"""HTTP on the wire: uvicorn, with bounds on what a stranger may send before anyone has looked at it."""

import asyncio
import json
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_BYTES = 16 * 1024
HEAD_SECONDS = 10.0
IDLE_SECONDS = 65
STOP_SECONDS = 20

_REFUSALS = {
    400: ("Bad Request", "bad-request", "The request can't be read", "The request is not valid HTTP."),
    408: (
        "Request Timeout",
        "request-timeout",
        "The request took too long to arrive",
        "The head of the request did not arrive in time.",
    ),
    431: (
        "Request Header Fields Too Large",
        "headers-too-large",
        "The headers are too large",
        f"Request line and headers may have at most {HEAD_BYTES} bytes together.",
    ),
}


class HeadTooLarge(Exception):
    """Request line and headers are longer than the gateway reads."""


class EdgeProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with a limit on size and duration of a request's head, and problem documents.

    The parser refuses what is ambiguous: Content-Length with Transfer-Encoding, twice Content-Length, line
    folding, spaces before the colon.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._header_bytes = 0
        self._in_head = True
        self._refusal = 400
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first request's head its time."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head, then parse; answers 431 when it grows too long."""
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_timer is None:
                self._start_timer()
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431)

    def on_message_begin(self) -> None:
        """Begin to count headers."""
        super().on_message_begin()
        self._header_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header; raises HeadTooLarge when all of them together are too long."""
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value)
        if len(self.url) + self._header_bytes > HEAD_BYTES:
            self._refusal = 431
            raise HeadTooLarge

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Begin to count the next head."""
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refused."""
        del msg
        self._refuse(self._refusal)

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if self._in_head and not self.transport.is_closing():
            self._refuse(408)

    def _is_answering(self) -> bool:
        # uvicorn declares the cycle as always there, but it exists only from the first request on.
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _refuse(self, status: int) -> None:
        if self._is_answering():
            # Another answer is under way on this connection; it must not be mixed with this one.
            self.transport.close()
            return
        reason, slug, title, detail = _REFUSALS[status]
        body = json.dumps(
            {"type": f"urn:irisvue:problem:{slug}", "title": title, "status": status, "detail": detail}
        ).encode()
        head = (
            f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()


def serve(app: ASGIApp, *, host: str, port: int) -> uvicorn.Server:
    """Return a server of `app`; `run()` it. Signals end it after running requests, in 20 s at most."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=EdgeProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=2048,
        lifespan="on",
    )
    return uvicorn.Server(config)

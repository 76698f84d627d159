"""HTTP on the wire: uvicorn, with bounds on what a stranger may send before anyone has looked at it."""

import asyncio
import json
import socket
from typing import Any

import structlog
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from chassis import server
from chassis.server import Server
from chassis.transfer_rate import TransferRate

HEAD_BYTES = 16 * 1024
HEAD_SECONDS = 10.0
IDLE_SECONDS = 65
UNSENT_BYTES = 32 * 1024
"""What the kernel takes of an answer before the network has; more would hide how fast the client reads."""
PACE_CHECK_SECONDS = 1.0
JOINED_BYTES = 16 * 1024

log = structlog.get_logger(__name__)

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


class AmbiguousHost(Exception):
    """The request names no host, or several."""


class _CountedTransport:
    """A transport that sends together what is written together, and knows how many bytes it has sent.

    uvicorn writes the head of an answer and its body one after the other; each would be a system call and a
    packet of its own, because nothing may wait in the transport's own buffer.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._joined = bytearray()
        self._written = 0

    def write(self, data: bytes) -> None:
        if not self._joined:
            self._loop.call_soon(self._send)
        self._joined += data
        if len(self._joined) > JOINED_BYTES:
            self._send()

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._joined and not self._transport.is_closing():
            data, self._joined = self._joined, bytearray()
            self._written += len(data)
            self._transport.write(data)

    @property
    def sent(self) -> int:
        return self._written - self._transport.get_write_buffer_size()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class EdgeProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with bounds on a request's head and on how slowly answers are read.

    The parser refuses what is ambiguous: Content-Length with Transfer-Encoding, twice Content-Length, line
    folding, spaces before the colon. Trailers are dropped: they come after everything was decided, and must
    not look like headers (RFC 9110 §6.5.1).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._header_bytes = 0
        self._hosts = 0
        self._in_head = True
        self._refusal = 400
        self._head_timer: asyncio.TimerHandle | None = None
        self._rate = TransferRate(monotonic=self.loop.time)
        self._pace_timer: asyncio.TimerHandle | None = None
        self._paced_at = 0.0
        self._paced_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first request's head its time."""
        self._counted = _CountedTransport(transport, self.loop)
        super().connection_made(self._counted)  # type: ignore[arg-type]
        # A pause in writing begins with the first byte that waits for the client, and ends with the last.
        transport.set_write_buffer_limits(high=0)
        transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES
        )
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        self._stop_pacing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to lose patience: bytes wait for the client to read."""
        super().pause_writing()
        self._count_pace(waited=False)
        self._pace_timer = self.loop.call_later(PACE_CHECK_SECONDS, self._check_pace)

    def resume_writing(self) -> None:
        """Go on: the client has taken everything."""
        super().resume_writing()
        self._count_pace(waited=True)
        self._stop_pacing()

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
        self._hosts = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header, drop a trailer; raises HeadTooLarge when all of them together are too long."""
        if self._in_head:
            super().on_header(name, value)
            self._hosts += name.lower() == b"host"
        self._header_bytes += len(name) + len(value)
        if len(self.url) + self._header_bytes > HEAD_BYTES:
            self._refusal = 431
            raise HeadTooLarge

    def on_headers_complete(self) -> None:
        """Begin to answer; raises AmbiguousHost unless the request names one host (RFC 9112 §3.2)."""
        if self._hosts != 1 and (self._hosts or self.parser.get_http_version() == "1.1"):
            raise AmbiguousHost
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

    def _count_pace(self, *, waited: bool) -> None:
        now, sent = self.loop.time(), self._counted.sent
        self._rate.count(waited=now - self._paced_at if waited else 0.0, moved=sent - self._paced_bytes)
        self._paced_at, self._paced_bytes = now, sent

    def _check_pace(self) -> None:
        self._count_pace(waited=True)
        if self._rate.patience > 0:
            self._pace_timer = self.loop.call_later(PACE_CHECK_SECONDS, self._check_pace)
            return
        log.info("slow_reader_cut")
        # Closing would wait for the bytes that nobody reads.
        self.transport.abort()

    def _stop_pacing(self) -> None:
        if self._pace_timer is not None:
            self._pace_timer.cancel()
            self._pace_timer = None

    def _is_answering(self) -> bool:
        # uvicorn declares the cycle as always there, but it exists only from the first request on.
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _refuse(self, status: int) -> None:
        if self._is_answering():
            cycle = self.cycle
            if cycle.response_started or self.pipeline:
                # Another answer is under way on this connection; it must not be mixed with this one.
                self.transport.close()
                return
            # Nothing was answered yet: this is the answer, and for the application the client is gone.
            cycle.disconnected = True
            cycle.message_event.set()
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


def serve(app: ASGIApp, *, host: str, port: int, grace_seconds: float = 0.0) -> Server:
    """Return the server of the gateway's process."""
    return server.serve(
        app,
        host=host,
        port=port,
        grace_seconds=grace_seconds,
        http=EdgeProtocol,
        ws="none",
        timeout_keep_alive=IDLE_SECONDS,
        backlog=2048,
    )

"""An HTTP/1.1 client that costs next to nothing, because it runs on the cores that it measures."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from chassis.service_auth import GATEWAY_TOKEN_HEADER

LONGEST_ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """A status and a body."""

    status: int
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object in the body."""
        document: dict[str, Any] = json.loads(self.body)
        return document


def get(path: str, *, bearer: str, proof: str) -> bytes:
    """Return the bytes of a GET, ready to be sent many times."""
    own = f"Authorization: Bearer {bearer}\r\n{GATEWAY_TOKEN_HEADER}: {proof}\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: identity\r\n{own}\r\n".encode()


def post(path: str, document: dict[str, Any], *, proof: str) -> bytes:
    """Return the bytes of a POST."""
    body = json.dumps(document).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: identity\r\nContent-Type: application/json\r\n"
    own = f"{GATEWAY_TOKEN_HEADER}: {proof}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{own}\r\n".encode() + body


class Connection:
    """One kept-alive connection, which carries one request at a time; use it with `async with`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(*self._address)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def send(self, request: bytes) -> Answer:
        """Send the request and return its answer, which must state its length."""
        self._writer.write(request)
        async with asyncio.timeout(LONGEST_ANSWER_SECONDS):
            head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            body = await self._reader.readexactly(int(length)) if length else b""
        return Answer(int(head[9:12]), body)

"""An HTTP/1.1 client that costs next to nothing, because it runs on the cores that it measures."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

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


def request(
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    body: bytes | dict[str, Any] | None = None,
    content_type: str = "application/json",
) -> bytes:
    """Return the bytes of a request, ready to be sent many times."""
    lines = [f"{method} {path} HTTP/1.1", "Host: benchmark"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    if content is not None:
        lines += [f"Content-Type: {content_type}", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (content or b"")


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries an access token."""
    return {"Authorization": f"Bearer {token}"}


class Connection:
    """One kept-alive connection, which carries one request at a time; use it with `async with`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(*self._address, limit=2**21)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def send(self, message: bytes) -> Answer:
        """Send the request and return its answer, which states its length or comes in chunks."""
        self._writer.write(message)
        async with asyncio.timeout(LONGEST_ANSWER_SECONDS):
            head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
            if b"transfer-encoding: chunked" in head:
                return Answer(int(head[9:12]), await self._chunks())
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            body = await self._reader.readexactly(int(length)) if length else b""
        return Answer(int(head[9:12]), body)

    async def _chunks(self) -> bytes:
        body = bytearray()
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return bytes(body)

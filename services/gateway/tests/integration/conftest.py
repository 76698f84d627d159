"""A cable between the gateway and a server, which a test can pull."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from support.free_ports import free_port


class Cable:
    """Carries TCP to a server: plugged in, pulled (connections end, new ones are refused) or silent."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._carries = asyncio.Event()
        self.port = free_port()

    async def plug_in(self) -> None:
        self._carries.set()
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    async def pull(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    def silence(self) -> None:
        """Keep connections open and let nothing through."""
        self._carries.clear()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            self._writers.add(far_writer)
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._carries.wait()
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


MakeCable = Callable[[str], tuple[Cable, str]]


@pytest.fixture
async def cable() -> AsyncIterator[MakeCable]:
    """Return a cable to the server of a URL, and the URL at its near end."""
    cables: list[Cable] = []

    def made(url: str) -> tuple[Cable, str]:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        cables.append(Cable(parts.hostname, parts.port))
        near = f"{parts.hostname}:{parts.port}"
        return cables[-1], url.replace(near, f"127.0.0.1:{cables[-1].port}")

    yield made
    for each in cables:
        await each.pull()

"""Pytest plugin: counts the round trips to PostgreSQL, between a client and its server."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Self

import pytest

from support.platform import Platform

CHUNK = 65536
_ADDRESS = re.compile(r"(?<=@)[^/?]+(?=/)")
# The client waits for an answer after each of these messages: Query, Sync and Flush.
_WAITS = frozenset(b"QSH")


class _Conversation:
    """What one client says, cut into messages; its first one has no type."""

    def __init__(self) -> None:
        self._rest = b""
        self._introduced = False
        self._prepared: dict[bytes, str] = {}
        self._said: list[str] = []

    def hear(self, data: bytes) -> Iterator[str]:
        """Return the statements of each round trip that has begun."""
        self._rest += data
        while True:
            head = 1 if self._introduced else 0
            if len(self._rest) < head + 4:
                return
            end = head + int.from_bytes(self._rest[head : head + 4], "big")
            if len(self._rest) < end:
                return
            message, self._rest = self._rest[:end], self._rest[end:]
            if self._introduced:
                yield from self._message(message[0], message[5:])
            self._introduced = True

    def _message(self, kind: int, body: bytes) -> Iterator[str]:
        if kind == ord("Q"):
            self._said.append(body[:-1].decode())
        elif kind == ord("P"):
            name, statement, _ = body.split(b"\0", 2)
            self._prepared[name] = statement.decode()
            self._said.append(f"prepare {statement.decode()}")
        elif kind == ord("B"):
            _, name, _ = body.split(b"\0", 2)
            self._said.append(self._prepared.get(name, "?"))
        if kind in _WAITS:
            yield "; ".join(self._said)
            self._said.clear()


class RoundTrips:
    """A way to PostgreSQL that counts how often clients wait for it, connecting aside."""

    def __init__(self, host: str, port: int) -> None:
        self.taken: list[str] = []
        self._target = (host, port)
        self._links: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def way(self, url: str) -> str:
        """Return the URL of a database, leading through here."""
        return _ADDRESS.sub(f"127.0.0.1:{self._port}", url) + "?sslmode=disable"

    @contextmanager
    def within(self, budget: int) -> Iterator[list[str]]:
        """Fail when the block takes more round trips than `budget`; give what was said in each."""
        self.taken.clear()
        yield self.taken
        said = "\n".join(self.taken)
        assert len(self.taken) <= budget, f"{len(self.taken)} round trips, budgeted are {budget}:\n{said}"

    def _accept(self, from_client: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        link = asyncio.create_task(self._carry(from_client, client))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _carry(self, from_client: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        from_server, server = await asyncio.open_connection(*self._target)
        back = asyncio.create_task(_copy(from_server, client))
        back.add_done_callback(lambda _: client.close())
        conversation = _Conversation()
        try:
            while data := await from_client.read(CHUNK):
                self.taken.extend(conversation.hear(data))
                server.write(data)
        finally:
            server.close()
            back.cancel()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)


@pytest.fixture
async def round_trips(platform: Platform) -> AsyncIterator[RoundTrips]:
    """Return a way to PostgreSQL that counts: open a database at `round_trips.way(url)`."""
    host, port = platform.servers.network.postgres.split(":")
    async with RoundTrips(host, int(port)) as counting:
        yield counting

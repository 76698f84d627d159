"""A TCP proxy between a client and its server, so that a test can make the network between them misbehave."""

import asyncio
import socket
import struct
from collections.abc import Coroutine
from typing import Any, Self

CHUNK = 65536
CHUNKS_UNDER_WAY = 64
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class FaultyProxy:
    """Listens on `port`, a free one on loopback, and forwards to its target until told otherwise.

    `delay` adds latency, `blackhole` holds every byte back and closes nothing (a lost route: the bytes arrive
    after `heal`, if anybody still waits), `cut` and `cut_after` reset connections, and `blackhole_after` lets
    one request arrive and its answer not.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._delay = 0.0
        self._refusing = False
        self._pattern: bytes | None = None
        self._then_hold = False
        self._passable = asyncio.Event()
        self._passable.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        links = list(self._links)
        self.cut()
        await asyncio.gather(*links, return_exceptions=True)

    def delay(self, seconds: float) -> None:
        """Deliver every byte this much later, in each direction."""
        self._delay = seconds

    def blackhole(self) -> None:
        """Deliver nothing any more; connections stay open, and new ones are accepted and left waiting."""
        self._passable.clear()

    def cut(self, *, refusing: bool = False) -> None:
        """Reset the open connections; new ones too while `refusing`, as a machine whose server is down."""
        self._refusing = refusing
        for link, ends in self._links.items():
            _reset(*ends)
            link.cancel()

    def cut_after(self, pattern: bytes) -> None:
        """Deliver the next client's bytes that contain `pattern`, and reset that client before the answer.

        The pattern must arrive in one piece, as short protocol messages do.
        """
        self._pattern, self._then_hold = pattern, False

    def blackhole_after(self, pattern: bytes) -> None:
        """Deliver the next client's bytes that contain `pattern`, and nothing after them: a `blackhole`."""
        self._pattern, self._then_hold = pattern, True

    def heal(self) -> None:
        """Forward at once again, beginning with what was held back."""
        self._delay = 0.0
        self._refusing = False
        self._pattern = None
        self._passable.set()

    def _accept(self, from_client: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self._refusing:
            _reset(client)
            return
        ends = [client]
        link = asyncio.create_task(self._carry(from_client, ends))
        self._links[link] = ends
        link.add_done_callback(self._links.pop)

    async def _carry(self, from_client: asyncio.StreamReader, ends: list[asyncio.StreamWriter]) -> None:
        (client,) = ends
        try:
            await self._let_pass(asyncio.get_running_loop().time())
            from_server, server = await asyncio.open_connection(*self._target)
            ends.append(server)
            await _until_one_ends(
                self._forward(from_client, server, watched=True), self._forward(from_server, client)
            )
        except OSError:
            # The server is away, a side was reset, or the pattern has passed: the client sees a reset.
            _reset(client)
        finally:
            for end in ends:
                end.close()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, watched: bool = False
    ) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_UNDER_WAY)
        reading = asyncio.create_task(_read(reader, under_way))
        try:
            while True:
                read_at, data = await under_way.get()
                await self._let_pass(read_at)
                if not data:
                    return
                writer.write(data)
                await writer.drain()
                if watched and self._pattern is not None and self._pattern in data:
                    self._pattern = None
                    if not self._then_hold:
                        raise ConnectionResetError
                    self.blackhole()
        finally:
            reading.cancel()

    async def _let_pass(self, read_at: float) -> None:
        """Return when bytes that were read at that moment of the loop's clock may go on."""
        await asyncio.sleep(read_at + self._delay - asyncio.get_running_loop().time())
        await self._passable.wait()


async def _read(reader: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]) -> None:
    """Read to the end, which is an empty piece."""
    data = b"more"
    while data:
        try:
            data = await reader.read(CHUNK)
        except ConnectionError:
            data = b""
        await under_way.put((asyncio.get_running_loop().time(), data))


async def _until_one_ends(*ways: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reset(*ends: asyncio.StreamWriter) -> None:
    for end in ends:
        if not end.transport.is_closing():
            connection = end.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            end.transport.abort()

"""Readers that do not read hold their own share of the memory, and nobody else's reading or uploading up."""

import asyncio
import contextlib
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from chassis.server import serve
from chassis.service_auth import GATEWAY_TOKEN_HEADER
from support import eventually

READERS = 300
MEBIBYTE = 1 << 20
BUDGET = 4 * MEBIBYTE
MARGIN = 96 * MEBIBYTE
"""What the server and the clients, which share the process of the test, may take besides pictures."""


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"read_memory_bytes": BUDGET})


@pytest.fixture
async def door(app, platform):
    """Serve storage on a socket; the value answers requests as the gateway would send them."""
    server = serve(app, host="127.0.0.1", port=0, lifespan="off")
    running = asyncio.create_task(server.serve())

    async def ready() -> None:
        assert server.started

    await eventually(ready)
    (listening,) = server.servers[0].sockets
    # Whoever is accepted inherits it: a picture does not fit into what the kernel holds for a reader.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
    yield Door(listening.getsockname()[1], platform.gateway_proof("storage"))
    server.should_exit = True
    await running


class Door:
    def __init__(self, port: int, proof) -> None:
        self._port, self._proof = port, proof

    @asynccontextmanager
    async def unread(self, url: str):
        """Ask for a picture and read nothing of the answer but what a few kilobytes hold."""
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.setblocking(False)  # noqa: FBT003 - the name of the call says it
        await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", self._port))
        _, writer = await asyncio.open_connection(sock=narrow, limit=1024)
        link = urlsplit(url)
        proof = f"{GATEWAY_TOKEN_HEADER}: {self._proof()}"
        head = f"GET {link.path}?{link.query} HTTP/1.1\r\nHost: x\r\n{proof}\r\n\r\n"
        writer.write(head.encode())
        try:
            yield
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def call(self, method: str, url: str, **options) -> tuple[int, bytes]:
        link = urlsplit(url)
        headers = {GATEWAY_TOKEN_HEADER: self._proof(), **options.pop("headers", {})}
        target = f"http://127.0.0.1:{self._port}{link.path}?{link.query}"
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, target, headers=headers, **options) as answer,
        ):
            return answer.status, await answer.read()


def resident() -> int:
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("accounts", [1, 8])
async def test_pictures_that_nobody_reads_keep_nobody_else_from_reading_and_uploading(
    door, ada, pictures, accounts, person_of
) -> None:
    picture = pictures.noise(900)
    crowd = [person_of() for _ in range(accounts)]
    links = [(await person.upload(picture))["original_url"] for person in crowd]
    photo, small = await ada.upload(picture), pictures.plain_jpeg()
    ticket = await ada.ticket()
    before = resident()
    async with AsyncExitStack() as attack:
        for number in range(READERS):
            await attack.enter_async_context(door.unread(links[number % accounts]))
        status, body = await door.call("GET", photo["original_url"])
        sent, _ = await door.call(
            "PUT", ticket["upload_url"], data=small, headers={"Content-Type": "image/jpeg"}
        )
        grown = resident() - before
    assert (status, sent) == (200, 200), body[:200]
    assert len(body) > MEBIBYTE // 2
    assert grown < BUDGET + MARGIN

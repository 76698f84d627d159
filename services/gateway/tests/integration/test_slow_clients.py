"""Clients that read or send slowly hold a share of the places at most, and not for long."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from chassis.ids import new_id
from gateway.routes import Access, RateClass, Route, Upstream
from support import eventually

PHOTO = f"/api/v1/photos/{new_id()}/content"
MEGABYTE = 1_000_000
OPEN = "/api/v1/privacy/jurisdiction"


async def eight_megabytes(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(8 * MEGABYTE)})
    await response.prepare(request)
    for _ in range(80):
        await response.write(bytes(MEGABYTE // 10))
    return response


async def size_of(request: web.Request) -> web.StreamResponse:
    return web.json_response({"size": len(await request.read())})


def link(session: Any) -> str:
    return f"{PHOTO}?session={session}"


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection whose client takes a few kilobytes before somebody reads them."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)  # noqa: FBT003 - the name of the call says it
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=narrow, limit=1024)


@asynccontextmanager
async def connections(stage: Any, count: int, request: bytes) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open connections that send `request` and then nothing, and read nothing of their own accord."""
    opened = [await connect(stage.port) for _ in range(count)]
    try:
        for _, writer in opened:
            writer.write(request)
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.transport.abort()


def asked(method: str, session: Any, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {link(session)} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


async def test_slow_readers_and_writers_of_one_account_leave_everybody_else_alone(stage: Any) -> None:
    stage.storage.on("GET", PHOTO, eight_megabytes)
    stage.storage.on("PUT", PHOTO, size_of)
    slow, victim = new_id(), new_id()
    readers, writers = asked("GET", slow), asked("PUT", slow, "Content-Length: 8000000") + b"1234"
    async with AsyncExitStack() as attack:
        await attack.enter_async_context(connections(stage, 64, writers))
        for _ in range(6):
            begun = await attack.enter_async_context(connections(stage, 50, readers))
            assert {(await reader.readuntil(b"\r\n"))[:9] for reader in begun} == {b"HTTP/1.1 "}
        for method, body, status in (("GET", None, 200), ("PUT", b"12345678", 200)):
            started = time.monotonic()
            async with stage.client.request(method, link(victim), data=body) as answer:
                assert answer.status == status
                await answer.read()
            assert time.monotonic() - started < 1


async def test_one_address_holds_a_share_and_others_have_the_rest(open_stage: Any) -> None:
    async with open_stage(most_requests_at_once=12, most_requests_of_one_address=8) as stage:
        stage.storage.on("GET", PHOTO, eight_megabytes)
        one_each = [asked("GET", new_id()) for _ in range(12)]
        held = [await connect(stage.port) for _ in one_each]
        for (_, writer), request in zip(held, one_each, strict=True):
            writer.write(request)
        heads = [await reader.readuntil(b"\r\n") for reader, _ in held]
        assert sorted(heads) == [b"HTTP/1.1 200 OK\r\n"] * 8 + [b"HTTP/1.1 429 Too Many Requests\r\n"] * 4
        elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{stage.port}", connector=elsewhere) as client,
            client.get(OPEN) as answer,
        ):
            assert answer.status == 200
        for _, writer in held:
            writer.transport.abort()

        async def free_again() -> None:
            async with stage.client.get(OPEN) as again:
                assert again.status == 200

        await eventually(free_again)


async def test_one_person_holds_a_share_of_an_address(open_stage: Any) -> None:
    async with open_stage(most_requests_of_one_person=3) as stage:
        stage.storage.on("GET", PHOTO, eight_megabytes)
        slow = new_id()
        async with connections(stage, 5, asked("GET", slow)) as readers:
            heads = [await reader.readuntil(b"\r\n\r\n") for reader in readers]
            refused = [head for head in heads if head.startswith(b"HTTP/1.1 429")]
            assert len(refused) == 2
            assert b"retry-after: " in refused[0]
            async with stage.client.get(link(new_id())) as answer:
                assert answer.status == 200


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.transfer_rate.GRACE_SECONDS", 0.4)
    monkeypatch.setattr("gateway.server.PACE_CHECK_SECONDS", 0.1)


async def test_who_reads_nothing_is_cut(impatient: None, stage: Any) -> None:
    stage.storage.on("GET", PHOTO, eight_megabytes)
    reader, writer = await connect(stage.port)
    writer.write(asked("GET", new_id()))

    async def gone() -> None:
        assert stage.service.admission.places.running == 0
        assert stage.storage.asked

    await eventually(gone, seconds=5)
    # What the kernels held comes, the rest does not.
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(8 * MEGABYTE)
    writer.transport.abort()


async def test_who_sends_nothing_is_told_and_cut(impatient: None, stage: Any) -> None:
    stage.storage.on("PUT", PHOTO, size_of)
    async with connections(stage, 1, asked("PUT", new_id(), "Content-Length: 8000000") + b"1234") as readers:
        started = time.monotonic()
        answer = await readers[0].read()
        assert time.monotonic() - started < 5
    assert answer.startswith(b"HTTP/1.1 408"), answer


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the service a third of a second, and the client as long as it moves."""
    table = tuple(
        Route(method, "/slow", Upstream.STORAGE, Access.OPEN, RateClass.LINK, MEGABYTE, 0.3, transfers=True)
        for method in ("GET", "PUT")
    )
    monkeypatch.setattr("gateway.wiring.ROUTES", table)


async def steadily(pieces: int) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield bytes(6_000)
        await asyncio.sleep(0.1)


async def test_slow_line_that_keeps_the_least_speed_is_never_late(brief: None, open_stage: Any) -> None:
    async with open_stage() as stage:
        stage.storage.on("PUT", "/slow", size_of)
        async with stage.client.put("/slow", data=steadily(15)) as answer:
            assert await answer.json() == {"size": 90_000}


async def test_slow_reader_that_keeps_the_least_speed_gets_everything(brief: None, open_stage: Any) -> None:
    async with open_stage() as stage:
        stage.storage.on("GET", "/slow", eight_megabytes)
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port, limit=65_536)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.1)
            await reader.readexactly(100_000)
        await reader.readexactly(7 * MEGABYTE)
        writer.close()


async def test_silent_service_is_blamed_although_the_client_still_sends(brief: None, open_stage: Any) -> None:
    async def silent(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async with open_stage() as stage:
        stage.storage.on("PUT", "/slow", silent)
        async with stage.client.put("/slow", data=b"12345678") as answer:
            assert answer.status == 504


async def test_every_transfer_has_an_end(
    brief: None, open_stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.transfer_rate.LONGEST_TRANSFER_SECONDS", 0.8)
    async with open_stage() as stage:
        stage.storage.on("PUT", "/slow", size_of)
        async with stage.client.put("/slow", data=steadily(100)) as answer:
            assert answer.status == 408

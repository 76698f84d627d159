"""Bodies stream through: bounded in size and in memory, and never look complete when they are not."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.routes import TRANSFER_SECONDS, Access, RateClass, Route, Upstream
from support import eventually

PHOTO = "/api/v1/photos/019ab0c4-1000-7001-8001-0000316edc57/content"
LINK = f"{PHOTO}?session=019ab0c4-1000-7001-8001-0000316edc58"
LOGIN = "/api/v1/auth/login/json"
EIGHT_MEGABYTES = 8 * 1024 * 1024
BLOCK = bytes(range(256)) * 256


async def blocks(count: int, *, pause: float = 0) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield BLOCK
        await asyncio.sleep(pause)


async def digest_of(request: web.Request) -> web.StreamResponse:
    digest, size = hashlib.sha256(), 0
    async for chunk in request.content.iter_any():
        digest.update(chunk)
        size += len(chunk)
    return web.json_response({"digest": digest.hexdigest(), "size": size, "length": request.content_length})


EXPECTED_DIGEST = hashlib.sha256(BLOCK * (EIGHT_MEGABYTES // len(BLOCK))).hexdigest()


@pytest.mark.parametrize("declared", [True, False])
async def test_eight_megabytes_arrive_unchanged(stage: Any, declared: bool) -> None:
    stage.storage.on("PUT", PHOTO, digest_of)
    headers = {"Content-Length": str(EIGHT_MEGABYTES)} if declared else {}
    count = EIGHT_MEGABYTES // len(BLOCK)
    async with stage.client.put(f"{LINK}&token=x", data=blocks(count), headers=headers) as answer:
        assert await answer.json() == {
            "digest": EXPECTED_DIGEST,
            "size": EIGHT_MEGABYTES,
            "length": EIGHT_MEGABYTES if declared else None,
        }


async def test_eight_megabytes_come_back_unchanged(stage: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(EIGHT_MEGABYTES)})
        await response.prepare(request)
        async for block in blocks(EIGHT_MEGABYTES // len(BLOCK)):
            await response.write(block)
        return response

    stage.storage.on("GET", PHOTO, handler)
    async with stage.client.get(LINK) as answer:
        assert answer.headers["Content-Length"] == str(EIGHT_MEGABYTES)
        assert hashlib.sha256(await answer.read()).hexdigest() == EXPECTED_DIGEST


async def halt_of(progress: Callable[[], int]) -> int:
    """Return where the flow stops by itself."""
    previous = -1
    while progress() != previous or not previous:
        previous = progress()
        await asyncio.sleep(0.3)
    return previous


async def test_slow_service_slows_the_upload_instead_of_filling_memory(
    open_stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More than the sockets' buffers in the kernel can take.
    size = 8 * EIGHT_MEGABYTES
    big = Route("PUT", "/big", Upstream.STORAGE, Access.OPEN, RateClass.LINK, size, TRANSFER_SECONDS)
    monkeypatch.setattr("gateway.wiring.ROUTES", (big,))
    read_on = asyncio.Event()
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        await read_on.wait()
        return await digest_of(request)

    async def counted() -> AsyncIterator[bytes]:
        nonlocal sent
        async for block in blocks(size // len(BLOCK)):
            yield block
            sent += len(block)

    async with open_stage() as stage:
        stage.storage.on("PUT", "/big", handler)
        tracemalloc.start()
        upload = asyncio.create_task(stage.client.put("/big", data=counted()))
        halted_at = await halt_of(lambda: sent)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        read_on.set()
        answer = await upload
        assert (await answer.json())["size"] == size
    assert halted_at < size
    assert held < 2 * 1024 * 1024


async def test_slow_client_slows_the_download_instead_of_filling_memory(stage: Any) -> None:
    written = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(headers={"Content-Length": str(8 * EIGHT_MEGABYTES)})
        await response.prepare(request)
        async for block in blocks(8 * EIGHT_MEGABYTES // len(BLOCK)):
            await response.write(block)
            written += len(block)
        return response

    stage.storage.on("GET", PHOTO, handler)
    async with stage.client.get(LINK) as answer:
        await halt_of(lambda: written)
        assert written < 8 * EIGHT_MEGABYTES
        assert len(await answer.read()) == 8 * EIGHT_MEGABYTES


@pytest.mark.parametrize("expect", [True, False])
async def test_body_declared_too_large_is_refused_before_it_is_read(stage: Any, expect: bool) -> None:
    async with stage.client.post(LOGIN, data=b"x" * 1_000_001, expect100=expect) as answer:
        assert answer.status == 413
        assert (await answer.json())["limit"] == 1_000_000
    assert not any(request.path == LOGIN for request in stage.identity.asked)


async def test_body_that_grows_too_large_is_cut_off_on_both_sides(stage: Any) -> None:
    outcomes: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            await digest_of(request)
        except (aiohttp.ClientPayloadError, ConnectionError, asyncio.CancelledError) as error:
            outcomes.append(type(error).__name__)
            raise
        outcomes.append("complete")
        return web.Response()

    stage.identity.on("POST", LOGIN, handler)
    async with stage.client.post(LOGIN, data=blocks(20)) as answer:
        assert answer.status == 413
        assert answer.content_type == "application/problem+json"

    async def ended() -> None:
        assert outcomes

    await eventually(ended)
    assert "complete" not in outcomes


async def test_body_of_exactly_the_limit_passes(stage: Any) -> None:
    stage.identity.on("POST", LOGIN, digest_of)
    async with stage.client.post(LOGIN, data=b"x" * 1_000_000) as answer:
        assert (await answer.json())["size"] == 1_000_000


async def test_refusal_of_an_upload_reaches_a_client_that_is_still_sending(stage: Any) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"type": "urn:irisvue:problem:consent-required"}, status=403)

    stage.storage.on("PUT", PHOTO, handler)
    async with stage.client.put(LINK, data=blocks(100, pause=0.005)) as answer:
        assert answer.status == 403
        assert (await answer.json())["type"] == "urn:irisvue:problem:consent-required"


async def test_unauthorized_post_keeps_its_connection(stage: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    for _ in range(2):
        writer.write(
            b"POST /api/v1/privacy/consent HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world"
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith("HTTP/1.1 401")
        length = int(next(line for line in head.splitlines() if "content-length" in line).split(":")[1])
        await reader.readexactly(length)
    writer.close()


async def test_service_that_dies_mid_answer_never_looks_complete(stage: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if "length" in request.query:
            response.content_length = 10 * len(BLOCK)
        await response.prepare(request)
        await response.write(BLOCK)
        assert request.transport is not None
        request.transport.abort()
        return response

    stage.storage.on("GET", PHOTO, handler)
    for query in ("", "&length"):
        async with stage.client.get(LINK + query) as answer:
            assert answer.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()


async def test_client_that_leaves_ends_the_work_of_the_service(stage: Any) -> None:
    left: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            if "stream" not in request.query:
                await asyncio.Event().wait()
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(BLOCK)
                await asyncio.sleep(0)
        except (asyncio.CancelledError, ConnectionError):
            left.append(request.query_string.rpartition("&")[2])
            raise

    stage.storage.on("GET", PHOTO, handler)
    for query in ("wait", "stream"):
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(f"GET {LINK}&{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

        async def asked(query: str = query) -> None:
            assert any(request.query_string.endswith(query) for request in stage.storage.asked)

        await eventually(asked)
        if query == "stream":
            await reader.readexactly(100_000)
        writer.transport.abort()

    async def noticed() -> None:
        assert sorted(left) == ["stream", "wait"]

    await eventually(noticed, seconds=3)


async def test_client_that_leaves_mid_upload_leaves_an_incomplete_body(stage: Any) -> None:
    outcomes: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            await digest_of(request)
        except (aiohttp.ClientPayloadError, ConnectionError, asyncio.CancelledError) as error:
            outcomes.append(type(error).__name__)
            raise
        outcomes.append("complete")
        return web.Response()

    stage.storage.on("PUT", PHOTO, handler)
    _reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(
        f"PUT {LINK} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".encode()
    )

    async def asked() -> None:
        assert stage.storage.asked

    await eventually(asked)
    writer.close()

    async def ended() -> None:
        assert outcomes

    await eventually(ended)
    assert "complete" not in outcomes

"""Raw bytes against the door: oversized, ambiguous, slow."""

import asyncio
import time
from typing import Any

import pytest

from support import eventually

POST = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n"


async def say(stage: Any, *parts: bytes, pause: float = 0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 15)
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    "request_bytes",
    [
        POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 0x4\r\n\r\nabcd",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n folded: 1\r\n\r\n",
        b"GET /hea\x00lth HTTP/1.1\r\nHost: x\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_ambiguous_requests_are_refused_and_the_connection_ends(
    stage: Any, request_bytes: bytes
) -> None:
    answer = await say(stage, request_bytes)
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert b"application/problem+json" in answer
    assert b"connection: close" in answer.lower()
    assert not stage.consent.asked + stage.storage.asked
    assert all(request.path.startswith(("/internal", "/.well")) for request in stage.identity.asked)


async def test_smuggled_second_request_is_never_forwarded(stage: Any) -> None:
    smuggled = b"GET /api/v1/privacy/jurisdiction HTTP/1.1\r\nHost: x\r\n\r\n"
    both = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    await say(stage, POST + both + b"0\r\n\r\n" + smuggled)
    assert not stage.consent.asked


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X-Big: " + b"a" * 64_000 + b"\r\n\r\n",
        GET + b"X-Big: " + b"a" * 64_000,
        GET + b"".join(b"X-%d: a\r\n" % number for number in range(4000)) + b"\r\n",
        b"GET /" + b"a" * 64_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 64_000,
    ],
)
async def test_head_beyond_sixteen_kilobytes_is_a_431(stage: Any, head: bytes) -> None:
    answer = await say(stage, head)
    assert answer.startswith(b"HTTP/1.1 431"), answer[:200]


async def test_head_below_the_limit_passes(stage: Any) -> None:
    answer = await say(stage, GET + b"X-Big: " + b"a" * 15_000 + b"\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")


async def test_heads_that_never_end_are_closed_and_harm_nobody(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.server.HEAD_SECONDS", 0.5)
    lorises = [
        asyncio.create_task(say(stage, *([GET, *[b"X-A: b\r\n"] * 20]), pause=0.1)) for _ in range(200)
    ]
    await asyncio.sleep(0.2)
    started = time.monotonic()
    async with stage.client.get("/health") as answer:
        assert answer.status == 200
    assert time.monotonic() - started < 0.5
    for answer_bytes in await asyncio.gather(*lorises):
        assert answer_bytes.startswith(b"HTTP/1.1 408") or answer_bytes == b""


async def test_silent_connections_are_closed(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.HEAD_SECONDS", 0.2)
    assert (await say(stage, b"")).startswith(b"HTTP/1.1 408")


async def test_pipelined_requests_are_answered_in_order(stage: Any) -> None:
    answer = await say(
        stage,
        GET + b"\r\n" + b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    first, second = answer.index(b"HTTP/1.1 200"), answer.index(b"HTTP/1.1 404")
    assert first < second


@pytest.mark.parametrize(
    "request_line", [b"OPTIONS * HTTP/1.1", b"CONNECT 127.0.0.1:22 HTTP/1.1", b"PRI * HTTP/2.0"]
)
async def test_requests_to_the_server_itself_are_refused(stage: Any, request_line: bytes) -> None:
    answer = await say(stage, request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer[9:10] == b"4", answer


async def test_upgrade_is_ignored(stage: Any) -> None:
    answer = await say(
        stage, GET + b"Upgrade: h2c, websocket\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200")


async def test_endless_body_on_an_answered_request_is_not_read_for_ever(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.middleware.LINGER_SECONDS", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404")
    assert b"connection: close" in head

    async def ended() -> None:
        writer.write(b"1\r\na\r\n")
        assert writer.transport.is_closing()

    await eventually(ended, seconds=3)


async def test_trailer_is_no_header(stage: Any) -> None:
    chunked = (
        b"GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
        b"\r\n1\r\na\r\n"
    )
    trailer = b"0\r\nAuthorization: Bearer " + stage.mint.token().encode() + b"\r\nX-Late: 1\r\n\r\n"
    assert (await say(stage, chunked + trailer)).startswith(b"HTTP/1.1 401")
    # An open route reads its body to the end, so that the trailer is there before the answer.
    late = chunked.replace(b"GET /api/v1/users/me", b"POST /api/v1/auth/refresh")
    assert (await say(stage, late + trailer)).startswith(b"HTTP/1.1 200")
    asked = next(request for request in stage.identity.asked if request.path == "/api/v1/auth/refresh")
    assert "X-Late" not in asked.headers


async def test_endless_trailer_is_refused(stage: Any) -> None:
    chunked = b"POST /api/v1/auth/refresh HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    await say(stage, chunked + b"".join(b"X-%d: a\r\n" % number for number in range(4000)) + b"\r\n")
    assert not any(request.path == "/api/v1/auth/refresh" for request in stage.identity.asked)

"""What HTTP asks of a server that wants no two readers of one request."""

import asyncio
import gzip
from typing import Any

import pytest
from aiohttp import web

from chassis.ids import new_id

PHOTO = f"/api/v1/photos/{new_id()}/content"
LINK = f"{PHOTO}?session={new_id()}"
JURISDICTION = "/api/v1/privacy/jurisdiction"
REFRESH = b"POST /api/v1/auth/refresh HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def say(stage: Any, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("hosts", [b"", b"Host: x\r\nHost: y\r\n", b"Host: x\r\nHost: x\r\n"])
async def test_request_names_one_host(stage: Any, hosts: bytes) -> None:
    answer = await say(stage, b"GET /health HTTP/1.1\r\n" + hosts + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert b"connection: close" in answer


async def test_old_request_needs_no_host(stage: Any) -> None:
    assert (await say(stage, b"GET /health HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "chunks", [b"zz\r\nhello\r\n", b"5\r\nhello world\r\n", b"-1\r\n\r\n", b"5;\x00=\r\n"]
)
async def test_malformed_chunk_is_a_400_and_the_end(stage: Any, chunks: bytes) -> None:
    answer = await say(stage, REFRESH + chunks + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert answer.count(b"HTTP/1.1") == 1
    assert b"connection: close" in answer
    assert not any(request.path == "/api/v1/auth/refresh" for request in stage.identity.asked)


async def test_part_of_a_photo_is_no_photo(stage: Any) -> None:
    async with stage.client.put(LINK, data=b"x", headers={"Content-Range": "bytes 0-0/2"}) as answer:
        assert answer.status == 400
    assert not stage.storage.asked


async def test_compressed_body_is_not_read(stage: Any) -> None:
    body = gzip.compress(b"{}")
    async with stage.client.post(
        "/api/v1/auth/login/json", data=body, headers={"Content-Encoding": "gzip"}
    ) as answer:
        assert answer.status == 415
        assert answer.headers["Accept-Encoding"] == "identity"
        assert (await answer.json())["type"] == "urn:irisvue:problem:unsupported-encoding"
    async with stage.client.post(
        "/api/v1/auth/login/json", data=b"{}", headers={"Content-Encoding": "identity"}
    ) as answer:
        assert answer.status == 200


async def test_address_with_a_slash_too_many_leads_to_the_right_one(stage: Any) -> None:
    async with stage.client.get(f"{JURISDICTION}/?country_code=DE", allow_redirects=False) as answer:
        assert answer.status == 308
        assert answer.headers["Location"] == f"{JURISDICTION}?country_code=DE"
    async with stage.client.get(f"{JURISDICTION}/?country_code=DE") as answer:
        assert answer.status == 200
    for path in ("/nowhere/", f"{JURISDICTION}//"):
        async with stage.client.get(path, allow_redirects=False) as answer:
            assert answer.status == 404


async def test_head_tells_about_links_and_health(stage: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(headers={"Content-Length": "12", "X-Method": request.method})

    stage.storage.on("HEAD", PHOTO, handler)
    async with stage.client.head(LINK) as answer:
        assert answer.status == 200
        assert answer.headers["X-Method"] == "HEAD"
        assert answer.headers["Content-Length"] == "12"
    async with stage.client.head("/health") as answer:
        assert answer.status == 200
        assert await answer.read() == b""
    async with stage.client.head("/api/v1/auth/register") as answer:
        assert answer.status == 405


async def test_bad_token_is_told_from_none(stage: Any) -> None:
    for headers, expected in (
        ({}, "Bearer"),
        ({"Authorization": "Basic eDp5"}, "Bearer"),
        ({"Authorization": "Bearer a.b.c"}, 'Bearer error="invalid_token"'),
        (stage.mint.bearer(exp=1), 'Bearer error="invalid_token"'),
    ):
        async with stage.client.get("/api/v1/users/me", headers=headers) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == expected


async def test_photo_over_a_dead_link_is_refused_before_it_is_sent(stage: Any) -> None:
    async def refused(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"type": "urn:irisvue:problem:upload-gone"}, status=410)

    stage.storage.expects = refused
    await stage.storage.stop()
    await stage.storage.start()
    request = f"PUT {LINK} HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\nExpect: 100-continue\r\n"
    answer = await say(stage, request.encode() + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 410"), answer


async def test_photo_over_a_good_link_is_asked_for(stage: Any) -> None:
    stage.storage.answers("PUT", PHOTO, {"stored": True})
    async with stage.client.put(LINK, data=b"x" * 1000, expect100=True) as answer:
        assert await answer.json() == {"stored": True}


async def test_photo_limit_is_the_setting_and_the_refusal_storages_own(open_stage: Any) -> None:
    async with open_stage(upload_limit_bytes=1000) as stage:
        async with stage.client.put(LINK, data=b"x" * 1001) as answer:
            assert answer.status == 413
            problem = await answer.json()
            assert problem["type"] == "urn:irisvue:problem:photo-too-large"
            assert problem["limit"] == 1000
            assert "1000 bytes" in problem["detail"]
        async with stage.client.put(LINK, data=b"x" * 1000) as answer:
            assert answer.status == 200

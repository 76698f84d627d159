"""Uploads that go on after a break (tus) pass the door: their headers, their bodies, their ends."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from chassis.ids import new_id
from support import eventually

UPLOADS = "/api/v1/photos/uploads"
UPLOAD = f"{UPLOADS}/{new_id()}"
PIECE_TYPE = "application/offset+octet-stream"
TWO_MEGABYTES = 2_000_000
SAID = {
    "Tus-Resumable": "1.0.0",
    "Upload-Offset": "4711",
    "Upload-Checksum": "sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
    "Content-Type": PIECE_TYPE,
}


def link(session: Any) -> str:
    return f"{UPLOAD}?session={session}&token=x"


async def piece_taken(request: web.Request) -> web.StreamResponse:
    body = await request.read()
    told = {"Upload-Offset": str(int(request.headers["Upload-Offset"]) + len(body)), "Tus-Resumable": "1.0.0"}
    return web.Response(status=204, headers=told)


async def test_piece_reaches_storage_with_its_headers_and_the_answer_comes_back(stage: Any) -> None:
    stage.storage.on("PATCH", UPLOAD, piece_taken)
    async with stage.client.patch(
        link(new_id()), data=io.BytesIO(bytes(TWO_MEGABYTES)), headers=SAID
    ) as answer:
        assert answer.status == 204
        assert answer.headers["Upload-Offset"] == str(4711 + TWO_MEGABYTES)
        assert answer.headers["Tus-Resumable"] == "1.0.0"
    (seen,) = stage.storage.asked
    assert {name: seen.headers[name] for name in SAID} == SAID


async def test_beginning_needs_a_token_may_bring_bytes_and_tells_where_the_upload_is(stage: Any) -> None:
    async def begun(request: web.Request) -> web.StreamResponse:
        size = len(await request.read())
        return web.json_response({}, status=201, headers={"Location": "/x", "Upload-Offset": str(size)})

    stage.storage.on("POST", UPLOADS, begun)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(TWO_MEGABYTES), "Content-Type": PIECE_TYPE}
    async with stage.client.post(UPLOADS, data=b"x", headers=headers) as answer:
        assert answer.status == 401
    headers |= stage.mint.bearer()
    async with stage.client.post(UPLOADS, data=io.BytesIO(bytes(TWO_MEGABYTES)), headers=headers) as answer:
        assert answer.status == 201
        assert (answer.headers["Location"], answer.headers["Upload-Offset"]) == ("/x", str(TWO_MEGABYTES))


async def test_versions_and_progress_are_told_to_who_asks(stage: Any) -> None:
    async def told(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=204, headers={"Tus-Version": "1.0.0", "Tus-Extension": "creation"})

    async def progress(_request: web.Request) -> web.StreamResponse:
        return web.Response(headers={"Upload-Offset": "7", "Upload-Length": "9", "Cache-Control": "no-store"})

    stage.storage.on("OPTIONS", UPLOADS, told)
    stage.storage.on("HEAD", UPLOAD, progress)
    async with stage.client.options(UPLOADS) as answer:
        assert (answer.status, answer.headers["Tus-Version"]) == (204, "1.0.0")
    async with stage.client.head(link(new_id())) as answer:
        assert (answer.headers["Upload-Offset"], answer.headers["Upload-Length"]) == ("7", "9")
        assert answer.headers["Cache-Control"] == "no-store"


async def test_status_that_only_this_protocol_knows_passes(stage: Any) -> None:
    problem = {"type": "urn:irisvue:problem:checksum-mismatch"}
    stage.storage.answers("PATCH", UPLOAD, problem, 460)
    async with stage.client.patch(link(new_id()), data=b"x", headers=SAID) as answer:
        assert (answer.status, await answer.json()) == (460, problem)


async def test_piece_larger_than_a_photo_is_refused_at_the_door(stage: Any) -> None:
    limit = stage.settings.upload_limit_bytes
    async with stage.client.patch(link(new_id()), data=io.BytesIO(bytes(limit + 1)), headers=SAID) as answer:
        assert answer.status == 413
        document = await answer.json()
    assert (document["type"], document["limit"]) == ("urn:irisvue:problem:photo-too-large", limit)
    assert not stage.storage.asked


async def test_link_dies_with_its_session(stage: Any) -> None:
    session = new_id()
    await stage.identity.revoke(session)

    async def refused() -> None:
        for method in ("HEAD", "PATCH", "DELETE"):
            async with stage.client.request(method, link(session), headers=SAID) as answer:
                assert answer.status == 410, method

    await eventually(refused)


async def steadily(pieces: int) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield bytes(6_000)
        await asyncio.sleep(0.1)


async def test_slow_line_is_let_and_one_that_stands_still_is_cut(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.transfer_rate.GRACE_SECONDS", 0.4)
    stage.storage.on("PATCH", UPLOAD, piece_taken)
    async with stage.client.patch(link(new_id()), data=steadily(10), headers=SAID) as answer:
        assert (answer.status, answer.headers["Upload-Offset"]) == (204, str(4711 + 60_000))

    async def stuck() -> AsyncIterator[bytes]:
        yield b"1234"
        await asyncio.Event().wait()

    async with asyncio.timeout(5), stage.client.patch(link(new_id()), data=stuck(), headers=SAID) as answer:
        assert answer.status == 408


async def test_one_account_with_many_stuck_pieces_keeps_nobody_else_waiting(stage: Any) -> None:
    stage.storage.on("PATCH", UPLOAD, piece_taken)
    slow = new_id()
    head = f"PATCH {link(slow)} HTTP/1.1\r\nHost: x\r\nUpload-Offset: 0\r\nContent-Length: 9000\r\n\r\n"
    opened = [await asyncio.open_connection("127.0.0.1", stage.port) for _ in range(64)]
    for _, writer in opened:
        writer.write(head.encode() + b"1234")
    async with (
        asyncio.timeout(2),
        stage.client.patch(link(new_id()), data=b"12345678", headers=SAID) as answer,
    ):
        assert answer.status == 204
    assert stage.service.admission.places.running <= stage.settings.most_requests_of_one_person
    for _, writer in opened:
        writer.transport.abort()

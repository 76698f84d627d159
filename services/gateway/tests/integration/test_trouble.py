"""Services that are down, slow or broken: the caller gets a problem, in time."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from gateway.routes import Access, RateClass, Route, Upstream

OPEN = "/api/v1/privacy/jurisdiction"


async def test_service_that_is_down_is_a_503_and_comes_back(stage: Any) -> None:
    await stage.consent.stop()
    for method in ("GET", "GET"):
        async with stage.client.request(method, OPEN) as answer:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert (await answer.json())["type"] == "urn:irisvue:problem:service-unavailable"
    await stage.consent.start()
    async with stage.client.get(OPEN) as answer:
        assert answer.status == 200


async def test_one_service_down_leaves_the_others_alone(stage: Any) -> None:
    await stage.consent.stop()
    async with stage.client.get("/api/v1/photos", headers=stage.mint.bearer()) as answer:
        assert answer.status == 200


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    table = (
        Route("GET", "/slow", Upstream.CONSENT, Access.OPEN, RateClass.PUBLIC, deadline=0.3),
        Route("POST", "/slow", Upstream.CONSENT, Access.OPEN, RateClass.PUBLIC, deadline=0.3),
        Route("GET", "/internal-error", Upstream.CONSENT, Access.OPEN, RateClass.PUBLIC),
    )
    monkeypatch.setattr("gateway.wiring.ROUTES", table)


async def test_slow_service_is_a_504_within_the_deadline(hurried: None, open_stage: Any) -> None:
    ended: list[str] = []

    async def handler(_request: web.Request) -> web.StreamResponse:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return web.Response()

    async with open_stage() as stage:
        for method in ("GET", "POST"):
            stage.consent.on(method, "/slow", handler)
            started = time.monotonic()
            async with stage.client.request(
                method, "/slow", data=b"x" if method == "POST" else None
            ) as answer:
                assert answer.status == 504
                assert (await answer.json())["type"] == "urn:irisvue:problem:gateway-timeout"
            assert time.monotonic() - started < 1
    assert ended == ["cancelled", "cancelled"]


async def test_slow_client_is_a_408_and_not_blamed_on_the_service(hurried: None, open_stage: Any) -> None:
    async def dribble() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.05)

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response()

    async with open_stage() as stage:
        stage.consent.on("POST", "/slow", handler)
        async with stage.client.post("/slow", data=dribble()) as answer:
            assert answer.status == 408
            assert (await answer.json())["type"] == "urn:irisvue:problem:request-timeout"


async def test_answer_that_stalls_after_its_start_ends_the_connection(hurried: None, open_stage: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.Event().wait()
        return response

    async with open_stage() as stage:
        stage.consent.on("GET", "/slow", handler)
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        received = await asyncio.wait_for(reader.read(), 3)
        writer.close()
        assert received.startswith(b"HTTP/1.1 200")
        assert not received.endswith(b"0\r\n\r\n")


async def test_problem_of_a_service_passes_unchanged(stage: Any) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(
            body=b'{"type":"urn:irisvue:problem:consent-outdated","status":409}',
            status=409,
            content_type="application/problem+json",
        )

    stage.consent.on("POST", "/api/v1/privacy/consent", handler)
    async with stage.client.post(
        "/api/v1/privacy/consent", json={"x": 1}, headers=stage.mint.bearer()
    ) as answer:
        assert answer.status == 409
        assert answer.content_type == "application/problem+json"
        assert (await answer.json())["type"] == "urn:irisvue:problem:consent-outdated"


@pytest.mark.parametrize(("method", "expected"), [("GET", 2), ("DELETE", 1), ("POST", 1)])
async def test_only_a_get_is_asked_again_when_the_connection_ended(
    stage: Any, method: str, expected: int
) -> None:
    path = {"GET": "/api/v1/photos", "DELETE": "/api/v1/photos/1", "POST": "/api/v1/photos/1/confirm"}[method]

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    stage.storage.on(method, path, handler)
    async with stage.client.request(method, path, headers=stage.mint.bearer()) as answer:
        assert answer.status == 503
    assert len(stage.storage.asked) == expected


async def test_get_meets_a_connection_that_was_just_closed(stage: Any) -> None:
    stage.consent.answers("GET", OPEN, {"n": 1}, 200, Connection="keep-alive")
    async with stage.client.get(OPEN) as answer:
        assert answer.status == 200
    # The idle connection that the gateway keeps dies without its knowing; a new server has the port.
    await stage.consent.stop()
    await stage.consent.start()
    async with stage.client.get(OPEN) as answer:
        assert answer.status == 200

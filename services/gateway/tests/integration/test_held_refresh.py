"""An identity that is away for a moment signs nobody out: the question for new tokens waits for it."""

import asyncio
import time
from typing import Any

import pytest
from aiohttp import web

from support import eventually

REFRESH = "/api/v1/auth/refresh"
LOGIN = "/api/v1/auth/login/json"


async def refresh(stage: Any) -> tuple[int, Any]:
    async with stage.client.post(REFRESH, json={"refresh_token": "r"}) as answer:
        return answer.status, await answer.json()


async def test_refresh_waits_until_identity_is_back(stage: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response(await request.json())

    stage.identity.on("POST", REFRESH, handler)
    await stage.identity.stop()
    waiting = [asyncio.create_task(refresh(stage)) for _ in range(5)]

    async def held() -> None:
        assert stage.service.admission.places.running == 5

    await eventually(held)
    async with stage.client.post(LOGIN, json={}) as answer:
        assert answer.status == 503
    await stage.identity.start()
    assert await asyncio.gather(*waiting) == [(200, {"refresh_token": "r"})] * 5


async def test_refresh_waits_for_an_identity_that_is_not_ready(stage: Any) -> None:
    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked == 1:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"asked": asked}, status=503 if asked < 4 else 200)

    stage.identity.on("POST", REFRESH, handler)
    assert await refresh(stage) == (200, {"asked": 4})


async def test_refused_refresh_is_refused_at_once(stage: Any) -> None:
    stage.identity.answers("POST", REFRESH, {"n": 1}, 401)
    assert await refresh(stage) == (401, {"n": 1})
    assert sum(request.path == REFRESH for request in stage.identity.asked) == 1


async def test_refresh_does_not_wait_for_ever_and_not_for_too_many(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.proxy.HOLD_SECONDS", 0.5)
    await stage.identity.stop()
    started = time.monotonic()
    status, problem = await refresh(stage)
    assert (status, problem["type"]) == (503, "urn:irisvue:problem:service-unavailable")
    assert 0.5 <= time.monotonic() - started < 3
    monkeypatch.setattr("gateway.proxy.HOLD_SECONDS", 20)
    monkeypatch.setattr("gateway.proxy.MOST_HELD", 0)
    started = time.monotonic()
    assert (await refresh(stage))[0] == 503
    assert time.monotonic() - started < 2

"""What the gateway says about itself and about the services."""

import asyncio
import gzip
import json
import re
import time
from typing import Any

import pytest
from aiohttp import web

from contracts.catalogue import EVENTS
from gateway.routes import ROUTES, Upstream
from support import eventually
from support.servers import RunningServers


async def test_health_and_liveness_ask_nobody(open_stage: Any) -> None:
    async with open_stage(blind=True) as stage:
        for prefix in ("", "/api/v1"):
            async with stage.client.get(f"{prefix}/health") as answer:
                assert await answer.json() == {"status": "healthy", "version": "0.1.0"}
            async with stage.client.get(f"{prefix}/health/liveness") as answer:
                assert await answer.json() == {"status": "alive"}


async def test_ready_cluster_names_every_part(open_stage: Any, servers: RunningServers) -> None:
    async with open_stage(redis_url=servers.redis_url) as stage:

        async def ready() -> None:
            async with stage.client.get("/health/readiness") as answer:
                assert await answer.json() == {
                    "status": "ready",
                    "db": "ok",
                    "redis": "ok",
                    "broker": "ok",
                    "storage": "ok",
                    "revocations": "ok",
                    "services": dict.fromkeys(Upstream, "ok"),
                }

        await eventually(ready)
        for part, name in (
            ("db", "database"),
            ("redis", "redis"),
            ("broker", "broker"),
            ("storage", "storage"),
        ):
            async with stage.client.get(f"/health/{part}") as answer:
                assert await answer.json() == {"status": "healthy", "service": name}


@pytest.mark.parametrize(
    ("service", "path", "part"),
    [
        ("consent", "/health/db", "db"),
        ("storage", "/health/storage", "storage"),
        ("consent", "/health/liveness", "services.consent"),
    ],
)
async def test_failing_part_is_named(stage: Any, service: str, path: str, part: str) -> None:
    getattr(stage, service).unwell.add(path)
    async with stage.client.get("/health/dependencies") as answer:
        assert answer.status == 503
        assert answer.content_type == "application/problem+json"
        assert answer.headers["Retry-After"]
        assert part in (await answer.json())["detail"]
    async with stage.client.get("/health/readiness") as answer:
        # The gateway does its part: what does not need the failing one works.
        assert answer.status == 200
        ready = await answer.json()
        states = {**ready, **{f"services.{name}": state for name, state in ready["services"].items()}}
        assert states[part] != "ok"
    if not part.startswith("services"):
        async with stage.client.get(f"/health/{part}") as answer:
            assert answer.status == 503
            assert (await answer.json())["type"] == "urn:irisvue:problem:not-healthy"


async def test_broker_is_as_the_workers_find_it_and_makes_nobody_unready(
    open_stage: Any, servers: RunningServers
) -> None:
    async with open_stage(redis_url=servers.redis_url) as stage:
        stage.workers.unwell.add("/health/broker")
        async with stage.client.get("/health/broker") as answer:
            assert answer.status == 503
        for path in ("/health/readiness", "/health/dependencies"):
            async with stage.client.get(path) as answer:
                assert answer.status == 200
                parts = await answer.json()
                assert (parts["status"], parts["broker"], parts["db"]) == ("ready", "failing", "ok")


async def test_unknown_part_is_not_found(stage: Any) -> None:
    async with stage.client.get("/health/moon") as answer:
        assert answer.status == 404


async def test_hanging_service_delays_readiness_by_a_second_at_most(stage: Any) -> None:
    async def hang(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    stage.consent.handle = hang
    await stage.consent.stop()
    await stage.consent.start()
    started = time.monotonic()
    async with stage.client.get("/health/readiness") as answer:
        assert answer.status == 200
        assert (await answer.json())["services"]["consent"] != "ok"
    assert time.monotonic() - started < 1.8


async def test_a_hundred_questions_ask_the_services_once(stage: Any) -> None:
    asked = 0
    original = stage.storage.handle

    async def counted(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += request.path == "/health/storage"
        answer: web.StreamResponse = await original(request)
        return answer

    stage.storage.handle = counted
    await stage.storage.stop()
    await stage.storage.start()

    async def ask() -> None:
        async with stage.client.get("/health/storage") as answer:
            assert answer.status == 200

    await asyncio.gather(*(ask() for _ in range(100)))
    assert asked == 1


async def test_description_is_whole_while_every_service_is_down(open_stage: Any) -> None:
    async with open_stage(blind=True) as stage:
        await stage.consent.stop()
        await stage.storage.stop()
        async with stage.client.get("/openapi.json") as answer:
            assert answer.status == 200
            document = json.loads(gzip.decompress(await answer.read()))
    assert {route.path for route in ROUTES} <= document["paths"].keys()
    assert document["servers"] == [{"url": "http://localhost:8000"}]


async def test_root_leads_to_the_documentation(stage: Any) -> None:
    async with stage.client.get("/", allow_redirects=False) as answer:
        assert answer.status == 307
        assert answer.headers["Location"] == "/docs"


async def test_viewer_loads_nothing_from_elsewhere(stage: Any) -> None:
    async with stage.client.get("/docs") as answer:
        assert answer.content_type == "text/html"
        page = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) == 4
    for path in loaded:
        if path != "data:,":
            async with stage.client.get(path) as answer:
                assert answer.status == 200
                assert answer.content_type in ("text/javascript", "text/css")
    assert "<script>" not in page
    async with stage.client.get("/docs/secret") as answer:
        assert answer.status == 404


async def test_events_are_described_for_programs_and_for_people(stage: Any) -> None:
    async with stage.client.get("/asyncapi.json") as answer:
        document = json.loads(gzip.decompress(await answer.read()))
    assert document["asyncapi"] == "3.0.0"
    assert set(document["channels"]) == {event.type for event in EVENTS}
    async with stage.client.get("/asyncapi") as answer:
        page = gzip.decompress(await answer.read()).decode()
    assert all(f"<h2>{event.type}</h2>" in page for event in EVENTS)
    assert "<script" not in page


async def test_documents_travel_compressed_to_who_reads_that(stage: Any) -> None:
    async with stage.client.get("/openapi.json", headers={"Accept-Encoding": "identity"}) as answer:
        plain, tag = await answer.read(), answer.headers["ETag"]
        assert "Content-Encoding" not in answer.headers
    async with stage.client.get("/openapi.json", headers={"Accept-Encoding": "br, gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["ETag"] != tag
        assert answer.headers["Vary"] == "Accept-Encoding"
        packed = await answer.read()
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 5
    async with stage.client.get("/openapi.json", headers={"Accept-Encoding": "gzip;q=0"}) as answer:
        assert answer.headers["ETag"] == tag


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/asyncapi", "/docs/swagger-ui-bundle.js"])
async def test_documents_are_kept_as_bytes_and_counted(open_stage: Any, path: str) -> None:
    async with open_stage(limits='{"public": "20/minute"}') as stage:
        async with stage.client.get(path) as answer:
            assert answer.status == 200
            assert answer.headers["RateLimit-Policy"].startswith('"public"')
            body, tag = await answer.read(), answer.headers["ETag"]
            assert int(answer.headers["Content-Length"]) == len(body)
        async with stage.client.head(path) as answer:
            assert answer.status == 200
            assert int(answer.headers["Content-Length"]) == len(body)
        async with stage.client.get(path, headers={"If-None-Match": f'"x", W/{tag}'}) as answer:
            assert answer.status == 304
            assert answer.headers["ETag"] == tag
            assert await answer.read() == b""
        async with stage.client.get(path, headers={"If-None-Match": '"x"'}) as answer:
            assert answer.status == 200
            assert await answer.read() == body
        found = []
        for _ in range(10):
            async with stage.client.get(path) as answer:
                found.append(answer.status)
        assert found[-1] == 429

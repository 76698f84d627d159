"""What the gateway says about itself and about the services."""

import asyncio
import time
from typing import Any

import pytest
from aiohttp import web

from chassis.testing import eventually
from cluster.testing import RunningServers


async def test_health_and_liveness_ask_nobody(open_stage: Any) -> None:
    async with open_stage(blind=True) as stage:
        for prefix in ("", "/api/v1"):
            async with stage.client.get(f"{prefix}/health") as answer:
                assert await answer.json() == {"status": "healthy", "version": "0.1.0"}
            async with stage.client.get(f"{prefix}/health/liveness") as answer:
                assert await answer.json() == {"status": "alive"}


async def test_ready_cluster_names_every_part(
    open_stage: Any, servers: RunningServers, broker_url: str
) -> None:
    async with open_stage(redis_url=servers.redis_url, broker_url=broker_url) as stage:

        async def ready() -> None:
            async with stage.client.get("/health/readiness") as answer:
                assert await answer.json() == {
                    "status": "ready",
                    "db": "ok",
                    "redis": "ok",
                    "broker": "ok",
                    "storage": "ok",
                    "revocations": "ok",
                    "services": {"identity": "ok", "consent": "ok", "storage": "ok"},
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
    async with stage.client.get("/health/readiness") as answer:
        assert answer.status == 503
        assert answer.content_type == "application/problem+json"
        assert answer.headers["Retry-After"]
        assert part in (await answer.json())["detail"]
    if not part.startswith("services"):
        async with stage.client.get(f"/health/{part}") as answer:
            assert answer.status == 503
            assert (await answer.json())["type"] == "urn:irisvue:problem:not-healthy"


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
        assert answer.status == 503
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


def description(path: str, method: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "part", "version": "0.1.0"},
        "paths": {
            path: {
                method: {
                    "tags": ["part"],
                    "summary": "Does <b>it</b>",
                    "requestBody": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
                    },
                    "responses": {"200": {"description": "Done"}},
                }
            },
            "/internal/secret": {"get": {"responses": {"200": {"description": "x"}}}},
        },
        "components": {"schemas": {"Thing": schema, "Unused": {"type": "object"}}},
    }


async def test_description_shows_the_public_routes_of_all_services(stage: Any) -> None:
    one = {"type": "object", "properties": {"a": {"type": "string"}}}
    other = {"type": "object", "properties": {"b": {"type": "integer"}}}
    stage.identity.answers("GET", "/openapi.json", description("/api/v1/auth/login/json", "post", one))
    stage.consent.answers("GET", "/openapi.json", description("/api/v1/privacy/consent", "post", other))
    stage.storage.answers("GET", "/openapi.json", description("/api/v1/photos/{id}", "delete", one))
    async with stage.client.get("/openapi.json") as answer:
        document = await answer.json()
    assert set(document["paths"]) == {
        "/health",
        "/health/liveness",
        "/health/readiness",
        "/health/{part}",
        "/api/v1/auth/login/json",
        "/api/v1/privacy/consent",
        "/api/v1/photos/{id}",
    }
    assert document["servers"] == [{"url": "http://localhost:8000"}]
    assert document["paths"]["/api/v1/privacy/consent"]["post"]["security"] == [{"bearer": []}]
    assert "security" not in document["paths"]["/api/v1/auth/login/json"]["post"]
    schemas = document["components"]["schemas"]
    assert schemas["Thing"] == one
    assert schemas["ConsentThing"] == other
    assert "Unused" not in schemas
    async with stage.client.get("/docs") as answer:
        page = await answer.text()
        assert answer.content_type == "text/html"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Does &lt;b&gt;it&lt;/b&gt;" in page
    assert "<script" not in page
    assert "src=" not in page


async def test_description_without_a_service_is_shorter_and_not_remembered(stage: Any) -> None:
    await stage.consent.stop()
    stage.identity.answers("GET", "/openapi.json", description("/api/v1/users/me", "get", {}))
    stage.storage.answers("GET", "/openapi.json", description("/api/v1/photos", "get", {}))
    async with stage.client.get("/openapi.json") as answer:
        assert "/api/v1/privacy/consent" not in (await answer.json())["paths"]
    stage.consent.answers("GET", "/openapi.json", description("/api/v1/privacy/consent", "get", {}))
    await stage.consent.start()
    async with stage.client.get("/openapi.json") as answer:
        assert "/api/v1/privacy/consent" in (await answer.json())["paths"]


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
async def test_documents_are_kept_as_bytes_and_counted(
    open_stage: Any, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async with open_stage(limits='{"public": "20/minute"}') as stage:
        for neighbour in (stage.identity, stage.consent, stage.storage):
            neighbour.answers("GET", "/openapi.json", {"openapi": "3.1.0", "paths": {}})
        async with stage.client.get(path) as answer:
            assert answer.status == 200
            assert answer.headers["RateLimit-Policy"].startswith('"public"')
            body, tag = await answer.read(), answer.headers["ETag"]
        # Whatever would make them anew is not needed any more.
        monkeypatch.setattr("gateway.documents.merge", None)
        monkeypatch.setattr("gateway.documents.render", None)
        async with stage.client.get(path) as answer:
            assert await answer.read() == body
            assert answer.headers["ETag"] == tag
        async with stage.client.get(path, headers={"If-None-Match": f'"x", W/{tag}'}) as answer:
            assert answer.status == 304
            assert answer.headers["ETag"] == tag
            assert await answer.read() == b""
        async with stage.client.get(path, headers={"If-None-Match": '"x"'}) as answer:
            assert answer.status == 200
        found = []
        for _ in range(10):
            async with stage.client.get(path) as answer:
                found.append(answer.status)
        assert found[-1] == 429

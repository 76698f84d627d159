import asyncio
import json

import pytest
from httpx2 import ASGITransport, AsyncClient

from chassis import health
from chassis.api import create_app
from chassis.edge import Edge
from chassis.worker_health import WorkerHealth

CANARY = "canary"


async def well():
    return None


async def broken():
    raise RuntimeError(CANARY)


async def hanging():
    await asyncio.Event().wait()


@pytest.fixture
def routes():
    return []


@pytest.fixture
def checks(monkeypatch):
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.1)
    return {"db": well, "redis": broken, "broker": hanging}


@pytest.fixture(params=["api", "worker"])
async def client(request, settings, app, checks, behind_gateway):
    of_worker = Edge(WorkerHealth(health.Health(settings.version, checks)))
    made_with = behind_gateway(app) if request.param == "api" else {"transport": ASGITransport(of_worker)}
    async with AsyncClient(base_url="http://service", **made_with) as client:
        yield client


async def test_process_that_runs_is_alive_and_healthy_whatever_else_is_broken(client):
    assert (await client.get("/health/liveness")).json() == {"status": "alive"}
    answer = await client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")
    assert answer.json()["version"]


async def test_readiness_names_the_parts_that_fail_and_ends_in_time(client, logged):
    loop = asyncio.get_running_loop()
    begun = loop.time()
    answer = await client.get("/health/readiness")
    assert loop.time() - begun < 1
    document = answer.json()
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"]
    assert document["detail"] == "Not answering: redis, broker."
    assert (document["db"], document["redis"], document["broker"]) == ("ok", "failing", "failing")

    lines = {line["part"]: line["error"] for line in logged()}
    assert lines["redis"].startswith("RuntimeError in broken")
    assert lines["broker"].startswith("TimeoutError")
    assert CANARY not in json.dumps(logged()) + answer.text


async def test_readiness_is_given_when_every_part_answers(client, checks):
    checks |= dict.fromkeys(checks, well)
    answer = await client.get("/health/readiness")
    assert answer.json() == {"status": "ready", "db": "ok", "redis": "ok", "broker": "ok"}


async def test_part_answers_for_itself(client):
    assert (await client.get("/health/db")).json() == {"status": "healthy", "service": "database"}
    refused = await client.get("/health/redis")
    assert refused.status_code == 503
    assert "redis" in refused.json()["detail"]
    assert (await client.get("/health/storage")).status_code == 404
    assert (await client.get("/health/anything")).status_code == 404


async def test_worker_answers_nothing_but_questions_about_its_health(settings):
    app = Edge(WorkerHealth(health.Health(settings.version, {})))
    async with AsyncClient(base_url="http://service", transport=ASGITransport(app)) as client:
        for method, path in [
            ("GET", "/"),
            ("GET", "/healthy"),
            ("GET", "/openapi.json"),
            ("POST", "/health"),
        ]:
            answer = await client.request(method, path)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.head("/health")).status_code == 200


async def test_check_that_a_lost_connection_cancels_is_failing_and_nothing_more(client, checks):
    async def cancelled():
        raise asyncio.CancelledError

    checks |= {"db": well, "redis": well, "broker": cancelled}
    answer = await client.get("/health/readiness")
    assert answer.status_code == 503
    assert answer.json()["broker"] == "failing"


async def test_process_that_is_stopping_is_not_ready_and_asks_nobody(settings, behind_gateway):
    async def never_asked():
        raise AssertionError("asked")

    app = create_app(
        settings, title="Stopping", routers=[], checks={"db": never_asked}, is_stopping=lambda: True
    )
    async with AsyncClient(base_url="http://service", **behind_gateway(app)) as client:
        answer = await client.get("/health/readiness")
        assert (answer.status_code, answer.json()["detail"]) == (503, "This process is stopping.")
        assert (await client.get("/health/liveness")).status_code == 200

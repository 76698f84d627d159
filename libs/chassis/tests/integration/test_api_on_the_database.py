"""An API whose routes write: what its callers hear when the database is away, full or of another opinion."""

import asyncio
import json

import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import AsyncClient
from sqlalchemy import insert, text

from chassis.api import create_app

CANARY = "canary@example.org"


@pytest.fixture
def database(open_database, database_proxy):
    return open_database("identity", via=database_proxy, pool_size=2)


@pytest.fixture
def in_a_transaction():
    return asyncio.Event()


@pytest.fixture
async def client(settings, database, an_event, in_a_transaction, behind_gateway):
    router = APIRouter()

    @router.post("/events", status_code=201)
    async def write() -> dict[str, str]:
        async with database.unit_of_work() as uow:
            uow.publish(an_event())
        return {"written": "yes"}

    @router.post("/doubles", status_code=201)
    async def write_a_double() -> dict[str, str]:
        async with database.unit_of_work() as uow:
            tombstones = uow.tables.tombstones
            await uow.session.execute(insert(tombstones), [{"subject_hash": CANARY}] * 2)
        return {"written": "yes"}

    @router.post("/promises", status_code=201)
    async def break_a_promise_at_the_commit() -> dict[str, str]:
        async with database.unit_of_work() as uow:
            await uow.session.execute(text("INSERT INTO identity.promises VALUES (1), (1)"))
        return {"written": "yes"}

    @router.post("/slow", status_code=201)
    async def write_without_end() -> None:
        async with database.unit_of_work() as uow:
            await uow.session.execute(text("SELECT 1"))
            in_a_transaction.set()
            await asyncio.Event().wait()

    app: FastAPI = create_app(settings, title="Writes", routers=[router], checks={"db": database.ping})
    async with AsyncClient(base_url="http://writes", **behind_gateway(app)) as opened:
        yield opened


def assert_come_back_later(answer):
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0


async def test_lost_database_is_answered_503_until_it_is_back(client, database_proxy, rows, logged):
    assert (await client.post("/events")).status_code == 201
    database_proxy.cut(refusing=True)
    for _ in range(3):
        assert_come_back_later(await client.post("/events"))
    assert (await client.get("/health/readiness")).json()["db"] == "failing"
    assert "error" not in {line["level"] for line in logged()}

    database_proxy.heal()
    assert (await client.post("/events")).status_code == 201
    assert (await client.get("/health/readiness")).status_code == 200
    assert len(await rows("identity.outbox")) == 2


async def test_exhausted_pool_is_answered_503_within_its_time_limit_and_liveness_goes_on(
    client, database, in_a_transaction
):
    hogs = [asyncio.create_task(client.post("/slow")) for _ in range(2)]
    await in_a_transaction.wait()
    asked = asyncio.create_task(client.post("/events"))
    assert (await client.get("/health/liveness")).status_code == 200
    assert_come_back_later(await asyncio.wait_for(asked, timeout=3))
    for hog in hogs:
        hog.cancel()
    await asyncio.gather(*hogs, return_exceptions=True)
    assert (await client.post("/events")).status_code == 201


async def test_clients_that_leave_in_the_middle_leave_no_connection_behind(
    client, database, in_a_transaction, scratch
):
    for _ in range(10):
        in_a_transaction.clear()
        request = asyncio.create_task(client.post("/slow"))
        await in_a_transaction.wait()
        request.cancel()
        await asyncio.wait([request])
    assert database.engine.pool.checkedout() == 0
    connection = await scratch.connect()
    idle = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    )
    await connection.close()
    assert idle == 0
    assert (await client.post("/events")).status_code == 201


async def test_failed_commit_never_looks_like_a_success(client, rows):
    assert (await client.post("/promises")).status_code == 500
    assert await rows("identity.promises") == []


async def test_row_that_the_database_quotes_reaches_neither_answer_nor_log(client, logged):
    answer = await client.post("/doubles")
    assert answer.status_code == 500
    (line,) = [line for line in logged() if line["event"] == "unexpected_error"]
    assert line["error"].startswith("IntegrityError")
    assert CANARY not in answer.text + json.dumps(logged())

"""Processes as such: a part that ends, and stops in good order while something is under way."""

import asyncio
import json
import signal
from contextlib import asynccontextmanager

import aiohttp
import pytest

from chassis.ids import new_id
from support import eventually

QUEUE = "consent.erase-user"
START_SECONDS = 30
WITHIN_SECONDS = 25
KINDS = ("api", "worker")
HELD = 4711
"""The widget's messages and erasures wait for this advisory lock."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("doomed", "reason"),
    [("raises", "LookupError in doomed (widget.py:"), ("returns", "returned"), ("cancelled", "cancelled")],
)
async def test_part_that_ends_ends_the_process_and_is_named(start, kind, doomed, reason):
    process = await start(kind, WIDGET_DOOMED=doomed)
    status, lines = await process.ended(START_SECONDS)
    assert status == 1
    (line,) = [line for line in lines if line["event"] == "part_ended"]
    assert line["part"] == "doomed-part"
    assert line["error"].startswith(reason)
    assert "canary" not in json.dumps(lines)


@pytest.mark.parametrize("kind", KINDS)
async def test_process_that_something_holds_is_gone_by_its_last_moment(start, kind):
    process = await start(kind, WIDGET_DOOMED="holds", WIDGET_STOP_SECONDS="1")
    await eventually(process.is_alive, seconds=START_SECONDS)
    status, _ = await process.end(signal.SIGTERM, 10)
    assert status == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["refusing", "silent"])
async def test_database_that_is_away_keeps_no_process_from_ending(start, database_proxy, kind, fault):
    process = await start(kind, database_via=database_proxy)
    await eventually(process.is_ready, seconds=START_SECONDS)
    if fault == "refusing":
        database_proxy.cut(refusing=True)
    else:
        database_proxy.blackhole()
    status, lines = await process.end(signal.SIGTERM, WITHIN_SECONDS)
    assert status == 0, lines


@asynccontextmanager
async def slow_request(process):
    """Begin a request; yields a function that ends it and returns the answer's status."""
    body = asyncio.Queue()

    async def pieces():
        while piece := await body.get():
            yield piece

    async with aiohttp.ClientSession() as session:
        asking = asyncio.create_task(session.post(f"{process.url}/internal/slow", data=pieces()))
        body.put_nowait(b"half")

        async def finish():
            body.put_nowait(b"whole")
            body.put_nowait(None)
            answer = await asking
            return answer.status, await answer.json()

        yield finish
        asking.cancel()


async def refuses(process):
    """Pass when the port takes no connection any more."""
    try:
        await process.health("liveness")
    except AssertionError:
        return
    raise AssertionError("it still answers")


async def test_request_that_runs_is_answered_and_no_other_is_taken(start):
    process = await start("api")
    await eventually(process.is_ready, seconds=START_SECONDS)
    async with slow_request(process) as finish:
        await eventually(process.is_ready)
        process.process.send_signal(signal.SIGTERM)
        await eventually(lambda: refuses(process))
        # Whoever sends the signal twice changes nothing.
        process.process.send_signal(signal.SIGTERM)
        assert await finish() == (200, {"bytes": 9})
    status, lines = await process.ended(WITHIN_SECONDS)
    assert status == 0, lines
    assert [line for line in lines if line["level"] == "error"] == []


async def test_api_is_unready_at_once_and_serves_on_for_the_grace(start):
    process = await start("api", WIDGET_STOP_GRACE_SECONDS="2")
    await eventually(process.is_ready, seconds=START_SECONDS)
    process.process.send_signal(signal.SIGTERM)

    async def is_unready():
        status, document = await process.health("readiness")
        assert (status, document.get("detail")) == (503, "This process is stopping.")

    await eventually(is_unready)
    async with slow_request(process) as finish:
        assert await finish() == (200, {"bytes": 9})
    await process.is_alive()
    status, lines = await process.ended(WITHIN_SECONDS)
    assert status == 0, lines


@pytest.fixture
async def held(scratch):
    """Hold the lock that messages and erasures wait for; return what lets it go."""
    connection = await scratch.connect()
    await connection.execute(f"SELECT pg_advisory_lock({HELD})")
    yield lambda: connection.execute(f"SELECT pg_advisory_unlock({HELD})")
    await connection.close()


async def waits_for_the_lock(scratch):
    connection = await scratch.connect()
    waiting = await connection.fetchval(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted", HELD
    )
    await connection.close()
    assert waiting


async def test_message_that_runs_is_finished_while_the_worker_is_unready(
    start, held, scratch, broker, body_of, an_event, rows
):
    worker = await start()
    await eventually(worker.is_ready, seconds=START_SECONDS)
    event_id = new_id()
    await broker.send(QUEUE, body_of(an_event(), event_id))
    await eventually(lambda: waits_for_the_lock(scratch))
    worker.process.send_signal(signal.SIGTERM)

    async def is_unready():
        status, document = await worker.health("readiness")
        assert (status, document.get("detail")) == (503, "This process is stopping.")

    await eventually(is_unready)
    await held()
    status, lines = await worker.ended(WITHIN_SECONDS)
    assert status == 0, lines
    assert [row["event_id"] for row in await rows("consent.effects")] == [event_id]
    assert await broker.drain(QUEUE) == []


async def test_row_that_is_claimed_and_can_not_be_finished_is_released(start, held, scratch, rows):
    worker = await start()
    await eventually(worker.is_ready, seconds=START_SECONDS)
    await scratch.execute(
        "INSERT INTO consent.erasure_tasks (erasure_id, user_id, requested_at, deadline) "
        f"VALUES ('{new_id()}', '{new_id()}', now(), now() + interval '1 day')"
    )
    await eventually(lambda: waits_for_the_lock(scratch))
    status, lines = await worker.end(signal.SIGTERM, WITHIN_SECONDS)
    assert status == 0, lines
    (task,) = await rows("consent.erasure_tasks")
    assert (task["lease_token"], task["lease_until"], task["completed_at"]) == (None, None, None)


async def test_worker_tells_of_its_relay(start):
    worker = await start()
    await eventually(worker.is_ready, seconds=START_SECONDS)
    _, document = await worker.health("readiness")
    assert document["relay"].startswith("ok: its last turn ")

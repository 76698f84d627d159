"""Connections: how many there are, who gets one, and what becomes of those that their server has closed."""

import asyncio
import threading
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from chassis import context
from chassis import engine as engine_module

BURST = 60


@pytest.fixture
def pool_of_two(open_database):
    return open_database("identity", pool_size=2, application_name="pool-of-two")


async def test_a_burst_waits_in_line_in_the_order_of_its_coming_and_opens_no_further_connection(
    pool_of_two, scratch
):
    served = []

    async def ask(number):
        async with pool_of_two.unit_of_work() as uow:
            served.append(number)
            await uow.session.execute(text("SELECT 1"))

    backends = set()

    async def ask_twice(number):
        await ask(number)
        async with pool_of_two.read_only() as session:
            backends.add(await session.scalar(text("SELECT pg_backend_pid()")))

    await asyncio.gather(*(ask_twice(number) for number in range(BURST)))
    assert len(backends) <= 2
    assert sorted(served) == list(range(BURST))


async def test_whoever_waits_longest_is_served_first(pool_of_two):
    served, hold = [], asyncio.Event()

    async def hog():
        async with pool_of_two.read_only() as session:
            await session.execute(text("SELECT 1"))
            await hold.wait()

    async def ask(number):
        async with pool_of_two.read_only() as session:
            await session.execute(text("SELECT 1"))
            served.append(number)
            # Whoever asks again does not pass those who wait.
            again = asyncio.create_task(ask(number + BURST)) if number < BURST else None
        if again:
            await again

    hogs = [asyncio.create_task(hog()) for _ in range(2)]
    waiting = []
    for number in range(BURST):
        waiting.append(asyncio.create_task(ask(number)))
        await asyncio.sleep(0)
    hold.set()
    await asyncio.gather(*hogs, *waiting)
    assert all(number < BURST for number in served[: BURST - 4])


async def test_a_request_waits_as_long_as_it_may_take_and_work_waits_longer(pool_of_two, monkeypatch):
    monkeypatch.setattr(engine_module, "LINE_SECONDS", (0.05, 0.1))

    async with pool_of_two.read_only() as one, pool_of_two.read_only() as two:
        await one.execute(text("SELECT 1"))
        await two.execute(text("SELECT 1"))
        work = asyncio.create_task(pool_of_two.ping())
        token = context.arrived.set(time.monotonic())
        with pytest.raises(PoolTimeoutError):
            await pool_of_two.ping()
        context.arrived.reset(token)
        assert not work.done()
    await work


def end_connections_of(scratch, name):
    async def end():
        connection = await scratch.connect()
        await connection.fetch(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1", name
        )
        await connection.close()

    asyncio.run(end())


async def test_a_connection_that_was_closed_a_moment_ago_is_replaced_unasked(pool_of_two, scratch):
    await pool_of_two.ping()
    # While this loop is busy it hears nothing of the end of the connections.
    elsewhere = threading.Thread(target=end_connections_of, args=(scratch, "pool-of-two"))
    elsewhere.start()
    elsewhere.join()
    async with pool_of_two.unit_of_work() as uow:
        assert await uow.session.scalar(text("SELECT 1")) == 1


async def test_a_connection_that_rests_costs_nothing_more(scratch, round_trips, open_database):
    database = open_database("identity", pool_size=1, url=round_trips.way(scratch.url()))
    await database.ping()
    with round_trips.within(1):
        await database.ping()

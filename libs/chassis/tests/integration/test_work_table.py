"""Work tables on a real database: leases, fences, failures without number, slow rows, wake-ups, stops."""

import asyncio

import pytest
from sqlalchemy import insert, select

from chassis import work_table as work_table_module
from chassis.faults import TransientFault
from chassis.work_table import LeaseLost, WorkTable
from support import eventually


class Away(TransientFault):
    """What every chore needs is away."""


@pytest.fixture
def make_table(hearer, chores_table):
    """Return a function that makes the engine: `make_table(database=None, **options)`."""
    return lambda database=hearer, **options: WorkTable(database, chores_table, **options)


@pytest.fixture
def table(make_table):
    return make_table(backoff_seconds=(0.0, 0.0))


@pytest.fixture
def add(hearer, chores_table):
    """Return a function that commits chores and wakes whoever works on them."""

    async def commit(*numbers, kind="sweep", **values):
        async with hearer.unit_of_work() as uow:
            rows = [{"kind": kind, "number": number, **values} for number in numbers]
            await uow.session.execute(insert(chores_table), rows)
            uow.wake("chores")

    return commit


@pytest.fixture
def chores(rows):
    async def listed():
        return await rows("consent.chores")

    return listed


@pytest.fixture
def is_empty(chores):
    async def check():
        assert await chores() == []

    return check


@pytest.fixture
def expire(scratch):
    async def leases():
        await scratch.execute("UPDATE consent.chores SET lease_until = now() - interval '1 s'")

    return leases


@pytest.fixture
async def start():
    """Return a function that runs a table as a worker does, and whose tasks the test may stop."""
    tasks = []

    def run(table, work, **options):
        tasks.append(asyncio.create_task(table.run(work, **options)))
        return tasks[-1]

    yield run
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def settling(hearer, table, seen=None):
    async def work(claimed):
        if seen is not None:
            seen.append(claimed.row.number)
        async with hearer.unit_of_work() as uow:
            await table.settle(uow.session, claimed)

    return work


async def test_row_under_a_lease_is_nobody_elses_until_the_lease_ends(table, add, expire):
    await add(1, 2)
    first = await table.claim(1)
    second = await table.claim(5)
    assert {each.key for each in first + second} == {("sweep", 1), ("sweep", 2)}
    assert await table.claim(5) == []
    await expire()
    assert len(await table.claim(5)) == 2


async def test_lease_ends_by_the_databases_clock(make_table, add, chores, scratch):
    table = make_table(lease_seconds=40)
    await add(1)
    await table.claim(1)
    connection = await scratch.connect()
    left = await connection.fetchval(
        "SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM consent.chores"
    )
    await connection.close()
    assert 35 < left <= 40


async def test_whoever_lost_the_lease_changes_nothing(hearer, table, add, expire, chores):
    await add(1)
    (late,) = await table.claim(1)
    await expire()
    (holder,) = await table.claim(1)
    for attempt in (
        lambda session: table.settle(session, late),
        lambda session: table.settle(session, late, done=True),
        lambda session: table.keep(session, late, done=True),
    ):
        with pytest.raises(LeaseLost):
            async with hearer.unit_of_work() as uow:
                await attempt(uow.session)
    await table.postpone(late, RuntimeError("canary"))
    await table.release([late])
    async with hearer.unit_of_work() as uow:
        assert await table.remove(uow.session, [late]) == 0
    (row,) = await chores()
    assert (row["lease_token"], row["attempts"], row["done"]) == (holder.token, 0, False)


async def test_effect_and_end_of_the_work_commit_together(hearer, table, add, chores):
    await add(1)
    (claimed,) = await table.claim(1)

    async def settle_and_fail():
        async with hearer.unit_of_work() as uow:
            await table.settle(uow.session, claimed)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await settle_and_fail()
    assert len(await chores()) == 1
    async with hearer.unit_of_work() as uow:
        await table.settle(uow.session, claimed, done=True)
    (row,) = await chores()
    assert (row["done"], row["lease_token"]) == (True, None)


async def test_only_open_rows_that_are_due_are_claimed(chores_table, make_table, add, scratch):
    table = make_table(open_rows=~chores_table.c.done)
    await add(1, 2, 3)
    await scratch.execute(
        "UPDATE consent.chores SET done = true WHERE number = 1",
        "UPDATE consent.chores SET next_attempt_at = now() + interval '1 hour' WHERE number = 2",
    )
    assert [each.key for each in await table.claim(5)] == [("sweep", 3)]
    assert await table.claim(5, only=chores_table.c.number == 2) == []


async def test_postponed_row_waits_and_says_why_without_quoting_anything(make_table, add, chores):
    table = make_table(backoff_seconds=(60.0, 60.0))
    await add(1)

    async def fails(_claimed):
        raise RuntimeError("canary")

    assert await table.work_once(fails) == 1
    (row,) = await chores()
    assert (row["attempts"], row["lease_token"]) == (1, None)
    assert row["last_error"].startswith("RuntimeError in fails (test_work_table.py:")
    assert await table.claim(1) == []


async def test_row_that_failed_1100_times_is_one_more_failure_and_holds_nobody(
    make_table, hearer, start, add, chores
):
    table = make_table(backoff_seconds=(0.5, 60.0))
    await add(1, attempts=1100)
    stubborn = True

    async def work(claimed):
        if claimed.row.number == 1 and stubborn:
            raise RuntimeError
        async with hearer.unit_of_work() as uow:
            await table.settle(uow.session, claimed)

    running = start(table, work)

    async def failed_once_more():
        assert [row["attempts"] for row in await chores()] == [1101]

    await eventually(failed_once_more)
    await add(2)
    await eventually(failed_once_more)
    assert not running.done()


async def test_slow_row_does_not_hold_seven_others(hearer, table, start, add, chores):
    let_go = asyncio.Event()
    settle = settling(hearer, table)

    async def work(claimed):
        if claimed.row.number == 0:
            await let_go.wait()
        await settle(claimed)

    start(table, work, workers=8)
    await add(*range(8))

    async def only_the_slow_one_is_left():
        assert [row["number"] for row in await chores()] == [0]

    await eventually(only_the_slow_one_is_left)
    # The places of those that have ended are free, though the slow one began with them.
    await add(*range(8, 40))
    await eventually(only_the_slow_one_is_left)
    let_go.set()


async def test_no_more_rows_are_under_way_than_there_are_workers(hearer, table, start, add, is_empty):
    under_way, most = set(), 0
    settle = settling(hearer, table)

    async def work(claimed):
        nonlocal most
        under_way.add(claimed.row.number)
        most = max(most, len(under_way))
        await settle(claimed)
        under_way.discard(claimed.row.number)

    await add(*range(60))
    start(table, work, workers=3)
    await eventually(is_empty)
    assert most == 3


async def test_two_processes_share_the_rows_and_work_on_each_once(
    make_table, open_database, table, hearer, start, add, is_empty
):
    other = open_database("consent")
    seen = []
    elsewhere = make_table(other)
    await add(*range(200))
    start(table, settling(hearer, table, seen))
    start(elsewhere, settling(other, elsewhere, seen))
    await eventually(is_empty)
    assert sorted(seen) == list(range(200))


async def test_commit_elsewhere_wakes_the_worker_long_before_it_would_poll(
    make_table, open_database, add, start, is_empty, monkeypatch
):
    monkeypatch.setattr(work_table_module, "IDLE_POLL_SECONDS", 60)
    other = open_database("consent")
    table = make_table(other)
    listening = asyncio.create_task(other.notifications.listen())
    start(table, settling(other, table))
    try:
        numbers = iter(range(1000))

        async def a_chore_is_done_within(seconds):
            await add(next(numbers))
            await eventually(is_empty, seconds=seconds)

        await eventually(lambda: a_chore_is_done_within(0.5))
        for _ in range(3):
            await a_chore_is_done_within(2)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_row_that_nobody_announced_is_found_by_the_poll(hearer, table, start, scratch, is_empty):
    start(table, settling(hearer, table))
    await scratch.execute("INSERT INTO consent.chores (kind, number) VALUES ('sweep', 1)")
    await eventually(is_empty, seconds=5)


async def test_stopped_worker_lets_running_work_end_and_claims_nothing_more(
    hearer, table, start, add, chores
):
    entered, go_on = asyncio.Event(), asyncio.Event()
    settle = settling(hearer, table)

    async def work(claimed):
        entered.set()
        await go_on.wait()
        await settle(claimed)

    await add(1, 2, 3)
    running = start(table, work, workers=1)
    await entered.wait()
    running.cancel()
    asyncio.get_running_loop().call_soon(go_on.set)
    await asyncio.wait([running])
    assert running.cancelled()
    left = await chores()
    assert len(left) == 2
    assert {row["lease_token"] for row in left} == {None}


async def test_stopped_worker_releases_at_once_what_does_not_end(table, start, add, chores, monkeypatch):
    monkeypatch.setattr(work_table_module, "DRAIN_SECONDS", 0.1)
    entered = asyncio.Event()

    async def work(_claimed):
        entered.set()
        await asyncio.Event().wait()

    await add(*range(20))
    running = start(table, work, workers=4)
    await entered.wait()
    running.cancel()
    await asyncio.wait([running])
    left = await chores()
    assert len(left) == 20
    assert {(row["lease_token"], row["attempts"]) for row in left} == {(None, 0)}


async def test_what_all_need_is_away_holds_the_rows_uncounted(hearer, table, start, add, chores, is_empty):
    away = True
    refusals = asyncio.Queue()
    settle = settling(hearer, table)

    async def work(claimed):
        if away:
            refusals.put_nowait(claimed.row.number)
            raise Away
        await settle(claimed)

    running = start(table, work, holds=(Away,))
    await add(1, 2)

    async def refused_again_and_again():
        assert refusals.qsize() > 4
        assert {row["attempts"] for row in await chores()} == {0}

    await eventually(refused_again_and_again)
    away = False
    await eventually(is_empty)
    assert not running.done()


async def test_worker_survives_the_loss_of_its_database(
    make_table, open_database, database_proxy, start, add, is_empty
):
    database = open_database("consent", via=database_proxy)
    table = make_table(database, lease_seconds=2)
    running = start(table, settling(database, table))
    for number in range(2):
        database_proxy.cut(refusing=True)
        await add(number)
        database_proxy.heal()
        await eventually(is_empty)
    assert not running.done()


async def test_worker_ends_with_an_error_that_nobody_can_wait_out(hearer, table, start, scratch):
    running = start(table, settling(hearer, table))
    await scratch.execute("ALTER TABLE consent.chores RENAME TO elsewhere")
    try:
        await asyncio.wait([running], timeout=5)
        assert running.done()
        assert running.exception() is not None
    finally:
        await scratch.execute("ALTER TABLE consent.elsewhere RENAME TO chores")


async def test_work_that_outlasts_its_lease_is_cut_off_before_somebody_else_begins(
    make_table, add, start, chores
):
    table = make_table(lease_seconds=1, backoff_seconds=(60.0, 60.0))
    started = []

    async def work(_claimed):
        started.append(1)
        await asyncio.Event().wait()

    await add(1)
    start(table, work)

    async def postponed():
        (row,) = await chores()
        assert (row["attempts"], row["lease_token"]) == (1, None)
        assert "TimeoutError" in row["last_error"]

    await eventually(postponed)
    assert started == [1]


async def test_depth_says_how_many_wait_how_many_fail_and_how_long(chores_table, make_table, add, scratch):
    table = make_table(open_rows=~chores_table.c.done)
    depth = await table.depth()
    assert (depth.waiting, depth.failing, depth.oldest_seconds) == (0, 0, 0)
    await add(1, 2, 3)
    await add(4, attempts=2)
    await scratch.execute(
        "UPDATE consent.chores SET created_at = now() - interval '90 seconds' WHERE number = 2",
        "UPDATE consent.chores SET created_at = now() - interval '1 day', done = true WHERE number = 3",
    )
    depth = await table.depth()
    assert (depth.waiting, depth.failing) == (3, 1)
    assert 90 <= depth.oldest_seconds < 120


async def test_claimed_rows_are_what_the_table_holds(chores_table, hearer, table, add):
    await add(7, kind="mop", attempts=3)
    (claimed,) = await table.claim(1)
    assert (claimed.key, claimed.row.kind, claimed.row.attempts) == (("mop", 7), "mop", 3)
    async with hearer.unit_of_work() as uow:
        await table.keep(uow.session, claimed, done=True)
        assert await uow.session.scalar(select(chores_table.c.done))

"""Statements that go straight to the driver, with begin and lock on the way."""

import asyncio

import pytest
from sqlalchemy import Integer, Uuid, bindparam, cast, exists, insert, literal, select, text
from sqlalchemy.exc import DBAPIError

from chassis.driver import statements_of
from chassis.ids import new_id
from chassis.prepared import Prepared
from chassis.problems import PersonErased
from chassis.tables import tables_of
from support import eventually

STONES = tables_of("identity").tombstones
ASKED = Prepared(
    select(
        exists(select(STONES).where(STONES.c.subject_hash == bindparam("person_hash"))),
        cast(bindparam("number"), Integer) + literal(1),
        bindparam("id", type_=Uuid),
    )
)
DOUBLED = Prepared(select(cast(bindparam("number"), Integer) / cast(bindparam("by"), Integer)))


def asked(number=1):
    return {"number": number, "id": new_id()}


async def test_begin_lock_and_statement_take_one_round_trip(sender, open_database, round_trips, scratch):
    database = open_database("identity", pool_size=1, url=round_trips.way(scratch.url()))
    for budget in (100, 1):
        async with database.unit_of_work() as uow:
            values = asked(number=41)
            with round_trips.within(budget):
                rows = await uow.fetch_about(new_id(), ASKED, values)
        assert [tuple(row) for row in rows] == [(False, 42, values["id"])]


async def test_statement_behind_the_lock_sees_the_tombstone_that_the_lock_waited_for(sender):
    person, raised = new_id(), asyncio.Event()
    for _ in range(2):
        # The second time the statement is known, and travels with the lock.
        async with sender.unit_of_work() as uow:
            await uow.fetch_about(new_id(), ASKED, asked())

    async def write():
        async with sender.unit_of_work() as uow:
            raised.set()
            await uow.fetch_about(person, ASKED, asked())

    async with sender.unit_of_work() as uow:
        await uow.add_tombstone(person)
        writing = asyncio.create_task(write())
        await raised.wait()

        async def it_waits_for_the_lock():
            waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            async with sender.read_only() as session:
                assert await session.scalar(waiting) == 1

        await eventually(it_waits_for_the_lock)
    with pytest.raises(PersonErased):
        await writing


@pytest.mark.parametrize("known", [False, True])
async def test_error_undoes_everything_and_leaves_the_connection_usable(open_database, rows, known):
    database = open_database("identity", pool_size=1)
    if known:
        async with database.unit_of_work() as uow:
            await uow.statements.fetch(DOUBLED, {"number": 4, "by": 2})

    async def fail():
        async with database.unit_of_work() as uow:
            await uow.session.execute(
                text("INSERT INTO identity.effects VALUES (gen_random_uuid(), 'undone')")
            )
            await uow.statements.fetch(DOUBLED, {"number": 4, "by": 0})

    async def fail_at_once(values):
        async with database.unit_of_work() as uow:
            await uow.statements.fetch(DOUBLED, values)

    with pytest.raises(DBAPIError):
        await fail()
    with pytest.raises(DBAPIError):
        await fail_at_once({"number": 4, "by": 0})
    # What the driver can't even write down.
    with pytest.raises(DBAPIError):
        await fail_at_once({"number": "four", "by": 2})
    async with database.unit_of_work() as uow:
        assert [tuple(row) for row in await uow.statements.fetch(DOUBLED, {"number": 4, "by": 2})] == [(2,)]
    assert await rows("identity.effects") == []


async def test_write_commits_with_the_unit_of_work_that_it_began(open_database, rows):
    database = open_database("identity", pool_size=1)
    written = Prepared(
        insert(tables_of("identity").tombstones)
        .values(subject_hash=bindparam("digest"))
        .returning(literal(1))
    )
    for digest in ("a", "b"):
        async with database.unit_of_work() as uow:
            await uow.statements.fetch(written, {"digest": digest})
    assert sorted(row["subject_hash"] for row in await rows("identity.tombstones")) == ["a", "b"]


async def test_single_statement_begins_no_transaction(open_database, round_trips, scratch):
    database = open_database("identity", pool_size=1, url=round_trips.way(scratch.url()))
    for budget in (100, 1):
        with round_trips.within(budget):
            async with database.one_statement() as session:
                rows = await statements_of(session).fetch(DOUBLED, {"number": 4, "by": 2})
        assert [tuple(row) for row in rows] == [(2,)]


def test_statement_with_a_list_of_values_is_refused() -> None:
    with pytest.raises(TypeError, match="anew"):
        Prepared(select(STONES).where(STONES.c.subject_hash.in_(bindparam("digests", expanding=True))))

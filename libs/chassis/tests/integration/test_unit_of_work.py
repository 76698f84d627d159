import asyncio
from uuid import UUID

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from chassis import context
from chassis.engine import ReadOnlyServer
from chassis.faults import is_transient
from chassis.ids import new_id
from chassis.problems import PersonErased
from contracts.envelope import parse
from contracts.identity import UserDeleted
from support import eventually

ADA = UUID("00000000-0000-7000-8000-00000000ada0")


async def write_effect(uow, note="written"):
    await uow.session.execute(
        text(f"INSERT INTO {uow.tables.outbox.schema}.effects VALUES (:id, :note)"),
        {"id": new_id(), "note": note},
    )


async def test_commit_stores_the_change_and_its_events_in_their_order(sender, an_event, rows):
    announced = [an_event() for _ in range(5)]
    async with sender.unit_of_work() as uow:
        for event in announced:
            uow.publish(event)
        await write_effect(uow)

    stored = [parse(row["body"], UserDeleted) for row in await rows("identity.outbox")]
    assert [envelope.data for envelope in stored] == announced
    assert [envelope.subject for envelope in stored] == [event.subject for event in announced]
    assert len(await rows("identity.effects")) == 1


async def test_error_in_the_block_leaves_neither_change_nor_event(sender, an_event, rows):
    woken = []

    async def fail_halfway():
        async with sender.unit_of_work() as uow:
            uow.publish(an_event())
            uow.after_commit(lambda: woken.append("too early"))
            await write_effect(uow)
            raise LookupError

    with pytest.raises(LookupError):
        await fail_halfway()
    assert await rows("identity.outbox") == []
    assert await rows("identity.effects") == []
    assert woken == []


async def test_failed_commit_raises_and_leaves_nothing(sender, an_event, rows):
    woken = []

    async def fail_at_the_commit():
        async with sender.unit_of_work() as uow:
            uow.publish(an_event())
            uow.after_commit(lambda: woken.append("too early"))
            # This constraint is checked by the commit itself.
            await uow.session.execute(text("INSERT INTO identity.promises VALUES (1), (1)"))

    with pytest.raises(DBAPIError):
        await fail_at_the_commit()
    assert await rows("identity.outbox") == []
    assert await rows("identity.promises") == []
    assert woken == []


async def test_what_fails_in_the_round_trip_of_the_commit_leaves_nothing_and_a_connection_that_works(
    open_database, an_event, rows
):
    database = open_database("identity", pool_size=1)

    async def fail_with_the_commit():
        async with database.unit_of_work() as uow:
            await write_effect(uow)
            uow.publish(an_event())
            uow.before_commit.append("SELECT 1 / 0")

    with pytest.raises(DBAPIError, match="division by zero"):
        await fail_with_the_commit()
    assert (await rows("identity.effects"), await rows("identity.outbox")) == ([], [])
    async with database.unit_of_work() as uow:
        await write_effect(uow)
    assert len(await rows("identity.effects")) == 1


async def test_cancelled_unit_of_work_leaves_nothing(sender, an_event, rows):
    begun = asyncio.Event()

    async def interrupted():
        async with sender.unit_of_work() as uow:
            uow.publish(an_event())
            await write_effect(uow)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(interrupted())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert await rows("identity.outbox") == []
    assert await rows("identity.effects") == []


async def test_what_waits_for_the_commit_sees_the_change_done(sender, an_event, rows):
    seen = asyncio.Queue()
    async with sender.unit_of_work() as uow:
        uow.publish(an_event())
        uow.after_commit(lambda: seen.put_nowait(asyncio.ensure_future(rows("identity.outbox"))))
        assert seen.empty()

    assert len(await seen.get_nowait()) == 1


async def test_event_carries_the_trace_of_the_request_that_caused_it(sender, an_event, rows):
    trace = context.continued_trace(None)
    token = context.traceparent.set(trace)
    async with sender.unit_of_work() as uow:
        uow.publish(an_event())
    context.traceparent.reset(token)

    (row,) = await rows("identity.outbox")
    assert parse(row["body"], UserDeleted).traceparent == trace


async def test_event_ids_differ_and_are_those_of_the_envelopes(sender, an_event, rows):
    event = an_event()
    async with sender.unit_of_work() as uow:
        uow.publish(event)
        uow.publish(event)

    stored = await rows("identity.outbox")
    assert len({row["event_id"] for row in stored}) == 2
    assert all(parse(row["body"], UserDeleted).id == row["event_id"] for row in stored)


@pytest.fixture
def waiting_for_a_person(scratch):
    """Return a check that somebody waits for the lock of a person."""

    async def somebody_waits():
        connection = await scratch.connect()
        try:
            waiting = await connection.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            )
        finally:
            await connection.close()
        assert waiting == 1

    return somebody_waits


async def test_erasure_waits_until_a_transaction_about_the_person_has_ended(
    sender, rows, waiting_for_a_person
):
    async def add_tombstone():
        async with sender.unit_of_work() as uow:
            await uow.add_tombstone(ADA)
            # What the writer wrote is there to be erased, because it has committed.
            return len(await rows("identity.effects"))

    async with sender.unit_of_work() as writer:
        await writer.lock_subject(ADA)
        erasure = asyncio.create_task(add_tombstone())
        await eventually(waiting_for_a_person)
        await write_effect(writer)
        assert not erasure.done()

    assert await erasure == 1


async def test_writer_that_waited_for_the_erasure_is_refused(sender, rows, waiting_for_a_person):
    async def write():
        async with sender.unit_of_work() as uow:
            await uow.lock_subject(ADA)
            await write_effect(uow)

    async with sender.unit_of_work() as eraser:
        await eraser.add_tombstone(ADA)
        writing = asyncio.create_task(write())
        await eventually(waiting_for_a_person)

    with pytest.raises(PersonErased):
        await writing
    assert await rows("identity.effects") == []


async def test_writer_after_the_erasure_is_refused_and_others_are_not(sender):
    async with sender.unit_of_work() as uow:
        await uow.add_tombstone(ADA)

    async with sender.unit_of_work() as uow:
        assert await uow.is_erased(ADA)
        with pytest.raises(PersonErased):
            await uow.lock_subject(ADA)
    async with sender.unit_of_work() as uow:
        await uow.lock_subject(new_id())


async def test_writers_about_the_same_person_do_not_wait_for_each_other(sender):
    async with sender.unit_of_work() as first, sender.unit_of_work() as second:
        await first.lock_subject(ADA)
        await asyncio.wait_for(second.lock_subject(ADA), timeout=1)


async def test_burying_twice_leaves_one_tombstone_and_a_rolled_back_one_leaves_none(sender, rows):
    async def bury_and_fail():
        async with sender.unit_of_work() as uow:
            await uow.add_tombstone(ADA)
            raise LookupError

    with pytest.raises(LookupError):
        await bury_and_fail()
    assert await rows("identity.tombstones") == []

    for _ in range(2):
        async with sender.unit_of_work() as uow:
            await uow.add_tombstone(ADA)
    assert len(await rows("identity.tombstones")) == 1


async def test_two_erasures_of_one_person_at_once_both_succeed(sender, rows):
    async def add_tombstone():
        async with sender.unit_of_work() as uow:
            await uow.add_tombstone(ADA)

    await asyncio.gather(*(add_tombstone() for _ in range(4)))
    assert len(await rows("identity.tombstones")) == 1


async def test_tombstone_can_only_be_recognised_with_the_key_of_the_service(sender, open_database, rows):
    stranger = open_database("identity", tombstone_key=bytes(32))
    async with sender.unit_of_work() as uow:
        await uow.add_tombstone(ADA)

    (stone,) = await rows("identity.tombstones")
    assert stone["subject_hash"] == sender.person_hash(ADA) != stranger.person_hash(ADA)
    async with stranger.unit_of_work() as uow:
        assert not await uow.is_erased(ADA)


async def test_error_of_the_database_shows_no_parameter(sender):
    async def write_too_much():
        async with sender.unit_of_work() as uow:
            row = {"consumer": "c", "body_digest": "canary-of-a-person" * 9, "error_class": "e"}
            await uow.session.execute(insert(uow.tables.dead_letters).values(row))

    with pytest.raises(DBAPIError) as caught:
        await write_too_much()
    assert "canary" not in str(caught.value)


async def test_reading_takes_each_query_for_a_transaction_of_its_own(sender):
    begun = text("SELECT now()")
    async with sender.unit_of_work() as uow:
        assert await uow.session.scalar(begun) == await uow.session.scalar(begun)
    async with sender.read_only() as session:
        assert await session.scalar(begun) < await session.scalar(begun)
    async with sender.unit_of_work() as uow:
        assert await uow.session.scalar(begun) == await uow.session.scalar(begun)


async def test_server_that_became_read_only_is_left_and_readiness_says_so(sender, scratch, rows):
    await sender.ping()
    await scratch.execute("ALTER ROLE chassis_app SET default_transaction_read_only = on")
    await scratch.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chassis_app'"
    )
    try:

        async def takes_no_writes():
            said = None
            try:
                await sender.ping()
            except (ReadOnlyServer, DBAPIError) as error:
                # A connection that was just ended may say that first.
                said = error
            assert isinstance(said, ReadOnlyServer)

        await eventually(takes_no_writes)
        with pytest.raises(DBAPIError) as refused:
            async with sender.unit_of_work() as uow:
                await write_effect(uow)
        assert is_transient(refused.value)
    finally:
        await scratch.execute("ALTER ROLE chassis_app RESET default_transaction_read_only")
    # The connections that led to it are gone, though nobody closed them.
    await sender.ping()
    async with sender.unit_of_work() as uow:
        await write_effect(uow)
    assert len(await rows("identity.effects")) == 1

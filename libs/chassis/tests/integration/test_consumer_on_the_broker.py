"""Consumers on RabbitMQ: what is acknowledged, what comes back and what is parked."""

import asyncio
import contextlib
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from chassis import consumer as consumer_module
from chassis.broker import BrokerConnection, BrokerStartFailed, BrokerUnavailable, consume
from chassis.consumer import Consumer, Inbound
from chassis.ids import new_id
from contracts.identity import UserDeleted
from contracts.participation import ErasureReported
from support import eventually

QUEUE = "consent.erase-user"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(consumer_module, "RETRY_PAUSE_SECONDS", 0.0)


@pytest.fixture
def start(take_from):
    """Return a function that consumes a queue with a handler of a person's end, or with several."""

    async def begin(handler, *, queue=QUEUE, handlers=None, via=None):
        return await take_from(queue, handlers or {UserDeleted: handler}, via=via)

    return begin


@pytest.fixture
def acted(rows):
    """Return a check that exactly these events have acted, each once."""

    def on(*event_ids):
        async def check():
            assert sorted(row["event_id"] for row in await rows("consent.effects")) == sorted(event_ids)

        return check

    return on


async def act(uow, envelope):
    await uow.session.execute(text("INSERT INTO consent.effects VALUES (:id, '')"), {"id": envelope.id})


@pytest.fixture
def send(broker, body_of, an_event):
    """Return a function that publishes an event about somebody to the queue and returns its id."""

    async def to_queue(queue=QUEUE):
        event_id = new_id()
        await broker.send(queue, body_of(an_event(), event_id))
        return event_id

    return to_queue


async def test_no_message_costs_the_turn_of_a_thread(start, send, acted):
    before = {thread.ident for thread in threading.enumerate()}
    connection = await start(act)
    ids = [await send() for _ in range(30)]
    await eventually(acted(*ids))
    await connection.close()
    assert {thread.ident for thread in threading.enumerate()} <= before


async def test_handled_message_leaves_the_queue(start, send, broker, acted):
    connection = await start(act)
    ids = [await send() for _ in range(30)]
    await eventually(acted(*ids))
    await connection.close()
    assert await broker.drain(QUEUE) == []


async def test_poison_goes_to_the_dead_letters_and_the_good_ones_go_on(start, send, broker, acted, rows):
    poison = set()

    async def act_unless_poisoned(uow, envelope):
        if envelope.id in poison:
            raise LookupError
        await act(uow, envelope)

    good = [await send() for _ in range(10)]
    poison.add(await send())
    await broker.send(QUEUE, b"{unreadable")
    good += [await send() for _ in range(10)]
    connection = await start(act_unless_poisoned)
    await eventually(acted(*good))

    parked = []

    async def both_are_parked():
        parked.extend(await broker.drain(f"{QUEUE}.dead"))
        assert len(parked) == 2

    await eventually(both_are_parked)
    assert b"{unreadable" in [message.body for message in parked]
    assert {letter["event_id"] for letter in await rows("consent.dead_letters")} == {None, *poison}
    await connection.close()
    assert await broker.drain(QUEUE) == []


async def test_handler_that_was_killed_gets_the_message_again_and_it_acts_once(
    start, send, broker, acted, rows
):
    running = asyncio.Queue()

    async def die_the_first_time(uow, envelope):
        await act(uow, envelope)
        if running.empty():
            running.put_nowait(asyncio.current_task())
            await asyncio.Event().wait()

    async with broker.proxy() as proxy:
        await start(die_the_first_time, via=proxy)
        event_id = await send()
        victim = await asyncio.wait_for(running.get(), timeout=5)
        running.put_nowait(victim)
        victim.cancel()
        await asyncio.wait([victim])
        assert await rows("consent.effects") == []
        proxy.cut()
        await eventually(acted(event_id))


async def test_handler_that_outlives_its_connection_acts_once(start, send, broker, acted):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def act_slowly(uow, envelope):
        await act(uow, envelope)
        begun.set()
        await go_on.wait()

    async with broker.proxy() as proxy:
        connection = await start(act_slowly, via=proxy)
        event_id = await send()
        await asyncio.wait_for(begun.wait(), timeout=5)
        proxy.cut()

        async def consuming_again():
            consuming = False
            with contextlib.suppress(BrokerUnavailable):
                consuming = await connection.has_consumer(QUEUE)
            assert consuming

        await eventually(consuming_again)
        go_on.set()
        await eventually(acted(event_id))
        await connection.close()
    assert await broker.drain(QUEUE) == []


async def test_consumers_come_back_after_every_lost_connection(start, send, broker, acted):
    ids = []
    async with broker.proxy() as proxy:
        connection = await start(act, via=proxy)
        for _ in range(3):
            proxy.cut()
            ids.append(await send())
            await eventually(acted(*ids))
        assert await connection.has_consumer(QUEUE)


async def test_stop_lets_a_running_handler_finish_and_returns_the_rest(start, send, broker, acted):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def act_slowly(uow, envelope):
        begun.set()
        await go_on.wait()
        await act(uow, envelope)

    connection = await start(act_slowly)
    event_id = await send()
    await asyncio.wait_for(begun.wait(), timeout=5)
    closing = asyncio.create_task(connection.close())
    go_on.set()
    await asyncio.wait_for(closing, timeout=5)
    await acted(event_id)()
    assert await broker.drain(QUEUE) == []


async def test_event_that_says_another_service_speaks_is_parked(start, broker, body_of, acted, rows):
    queue = "identity.collect-erasure-reports"
    connection = await start(
        act,
        queue=queue,
        handlers={ErasureReported: act},
    )

    def report(event):
        event_id = new_id()
        return event_id, body_of(event.of(new_id(), completed_at=datetime.now(UTC), erased={}), event_id)

    _, forged = report(ErasureReported.by("consent"))
    event_id, honest = report(ErasureReported.by("storage"))
    # Storage may publish under its own key only, and its own queue neighbours receive both.
    await broker.publish_as("storage", ErasureReported.by("storage").type, forged)
    await broker.publish_as("storage", ErasureReported.by("storage").type, honest)
    await eventually(acted(event_id))

    async def parked():
        assert [letter["type"] for letter in await rows("consent.dead_letters")] == [
            ErasureReported.by("consent").type
        ]

    await eventually(parked)
    await connection.close()
    assert [message.body for message in await broker.drain(f"{queue}.dead")] == [forged]


async def test_message_that_an_operator_moves_back_from_the_dead_letters_acts(start, broker, send, acted):
    fault = [LookupError()] * 5

    async def act_once_mended(uow, envelope):
        if fault:
            raise fault.pop()
        await act(uow, envelope)

    await start(act_once_mended)
    event_id = await send()
    parked = []

    async def is_parked():
        parked.extend(await broker.drain(f"{QUEUE}.dead"))
        assert parked

    await eventually(is_parked)
    await broker.send(QUEUE, parked[0].body)
    await eventually(acted(event_id))


async def test_question_to_the_broker_ends_in_time_in_a_blackhole_and_in_a_cut(start, broker):
    async with broker.proxy() as proxy:
        connection = await start(act, via=proxy)
        proxy.blackhole()
        question = asyncio.create_task(connection.has_consumer(QUEUE))
        await asyncio.wait([question], timeout=0.2)
        assert not question.done()
        proxy.cut()
        proxy.heal()
        with pytest.raises(BrokerUnavailable):
            await question


async def test_missing_queue_is_said_to_have_no_consumer(start):
    connection = await start(act)
    assert not await connection.has_consumer("consent.no-such-queue")
    # The question did not harm the connection.
    assert await connection.has_consumer(QUEUE)


async def test_missing_queue_at_the_start_surfaces_instead_of_looking_like_an_outage(broker, hearer):
    connection = BrokerConnection(broker.url("consent"))
    missing = Inbound(hearer, Consumer("consent.no-such-queue", {UserDeleted: act}))
    consume(connection.broker, "consent.no-such-queue", missing.receive)
    connection.connect()

    async def refused():
        try:
            assert await connection.is_connected()
        except BrokerStartFailed:
            return
        raise AssertionError("connected although the queue is missing")

    await eventually(refused)
    await connection.close()


async def test_connection_closes_in_time_when_the_broker_is_gone(start, broker):
    async with broker.proxy() as proxy:
        connection = await start(act, via=proxy)
        proxy.cut(refusing=True)
        await asyncio.wait_for(connection.close(), timeout=3)
        proxy.heal()
        with pytest.raises(BrokerUnavailable):
            await connection.ping()


async def test_wrong_password_is_not_mistaken_for_a_connection(broker):
    connection = BrokerConnection(broker.url("consent").replace("consent:", "consent:wrong"))
    connection.connect()
    with pytest.raises(BrokerUnavailable):
        await connection.ping()
    await connection.close()


async def test_what_has_arrived_acts_in_one_transaction(start, send, broker, acted):
    transactions = []

    async def act_and_note(uow, envelope):
        await act(uow, envelope)
        transactions.append(await uow.session.scalar(text("SELECT txid_current()")))

    ids = [await send() for _ in range(40)]
    connection = await start(act_and_note)
    await eventually(acted(*ids))
    assert len(set(transactions)) < len(ids) / 4
    await connection.close()
    assert await broker.drain(QUEUE) == []


async def test_erased_person_among_those_who_arrived_costs_the_others_nothing(
    start, broker, body_of, an_event, acted, hearer
):
    gone, people = an_event(), [an_event() for _ in range(10)]
    async with hearer.unit_of_work() as uow:
        await uow.add_tombstone(gone.user_id)

    async def act_about_the_person(uow, envelope):
        await act(uow, envelope)
        await uow.lock_subject(envelope.data.user_id)

    ids = [new_id() for _ in people]
    bodies = [body_of(event, event_id) for event, event_id in zip(people, ids, strict=True)]
    await broker.send(QUEUE, *bodies[:5], body_of(gone), *bodies[5:])
    connection = await start(act_about_the_person)
    await eventually(acted(*ids))
    await connection.close()
    assert await broker.drain(QUEUE) == []
    assert await broker.drain(f"{QUEUE}.dead") == []


async def test_message_that_nobody_settled_comes_again_whatever_was_acknowledged_behind_it(
    start, send, broker, acted
):
    stuck, begun = [], asyncio.Event()

    async def get_stuck_once(uow, envelope):
        if not stuck:
            stuck.append(asyncio.current_task())
            begun.set()
            await asyncio.Event().wait()
        await act(uow, envelope)

    async with broker.proxy() as proxy:
        await start(get_stuck_once, via=proxy)
        first = await send()
        await asyncio.wait_for(begun.wait(), timeout=5)
        others = [await send() for _ in range(20)]
        await eventually(acted(*others))
        stuck[0].cancel()
        await asyncio.wait(stuck)
        more = [await send() for _ in range(20)]
        await eventually(acted(*others, *more))
        proxy.cut()
        await eventually(acted(first, *others, *more))

"""The worker as a real process: started without its servers, killed, stopped, and with a part that dies."""

import json
import signal
import socket

import pytest
from sqlalchemy import update

from chassis import dead_letters as dead_letters_module
from chassis.broker import BrokerConnection
from chassis.dead_letters import purge_dead_letters
from chassis.ids import new_id
from chassis.parked import take_out
from contracts.envelope import parse_head
from contracts.participation import ErasureReported
from support import eventually

QUEUE = "consent.erase-user"
START_SECONDS = 30


@pytest.fixture
def send(broker, body_of, an_event):
    """Return a function that puts that many events into the worker's queue and returns their ids."""

    async def fill(number):
        ids = [new_id() for _ in range(number)]
        await broker.send(QUEUE, *(body_of(an_event(), event_id) for event_id in ids))
        return ids

    return fill


@pytest.fixture
def acted(rows):
    """Return a function that lists the events that have acted."""

    async def ids():
        return [row["event_id"] for row in await rows("consent.effects")]

    return ids


async def test_worker_loses_nothing_however_it_starts_dies_and_stops(start, broker, send, acted, hearer):
    async with broker.proxy() as proxy:
        proxy.cut(refusing=True)
        first = await start(broker_via=proxy)
        await eventually(first.is_alive, seconds=START_SECONDS)
        status, document = await first.health("readiness")
        assert (status, document["db"], document["broker"]) == (503, "ok", "failing")

        proxy.heal()
        await eventually(first.is_ready)
        announced = []

        async def the_worker_has_announced_itself():
            announced.extend(await broker.drain("identity.register-participants"))
            assert [parse_head(message.body).subject for message in announced] == ["services/consent"]

        await eventually(the_worker_has_announced_itself)

        ids = await send(300)

        async def some_have_acted():
            assert await acted()

        await eventually(some_have_acted)
        status, _ = await first.end(signal.SIGKILL, 5)
        assert status == -signal.SIGKILL

    second = await start()
    await eventually(second.is_ready, seconds=START_SECONDS)
    ids += await send(300)
    before = len(await acted())

    async def more_have_acted():
        assert len(await acted()) > before

    await eventually(more_have_acted)
    async with hearer.unit_of_work() as uow:
        reported = ErasureReported.by("consent").of(new_id(), completed_at=hearer.clock.now(), erased={})
        uow.publish(reported)
    status, lines = await second.end(signal.SIGTERM, 5)
    assert status == 0, lines
    errors = [line for line in lines if line["level"] == "error"]
    assert errors == [], json.dumps(errors)

    done = await acted()
    left = [parse_head(message.body).id for message in await broker.drain(QUEUE)]
    assert len(done) == len(set(done))
    assert set(done) | set(left) == set(ids)


async def test_lost_database_makes_it_unready_and_is_survived(start, database_proxy, broker, send, acted):
    worker = await start(database_via=database_proxy)
    await eventually(worker.is_ready, seconds=START_SECONDS)
    database_proxy.cut(refusing=True)
    ids = await send(20)

    async def names_the_database():
        status, document = await worker.health("readiness")
        assert (status, document.get("db")) == (503, "failing")

    await eventually(names_the_database)
    database_proxy.heal()

    async def all_have_acted():
        assert sorted(await acted()) == sorted(ids)

    await eventually(all_have_acted)
    await eventually(worker.is_ready)
    status, _ = await worker.end(signal.SIGTERM, 5)
    assert status == 0
    assert await broker.drain(f"{QUEUE}.dead") == []


async def test_dead_letters_are_told_by_readiness_and_log_and_make_nobody_unready(
    start, broker, body_of, an_event
):
    await broker.send(f"{QUEUE}.dead", body_of(an_event()), body_of(an_event()))
    await broker.send(QUEUE, b"not an event")
    worker = await start()

    async def they_are_told():
        status, document = await worker.health("readiness")
        assert status == 200
        assert document["dead_letters"] in {
            "ok: 0 records and 2 messages wait",
            "ok: 1 records and 3 messages wait",
        }

    await eventually(they_are_told, seconds=START_SECONDS)
    _, lines = await worker.end(signal.SIGTERM, 5)
    told = [line for line in lines if line["event"] == "dead_letters_wait"]
    assert told
    assert told[0]["level"] == "error"
    assert QUEUE in told[0]["messages"]


async def test_a_dead_letter_that_names_somebody_erased_is_taken_out_and_the_others_stay(
    start, broker, body_of, an_event, hearer
):
    erased, other = an_event(), an_event()
    async with hearer.unit_of_work() as uow:
        await uow.add_tombstone(erased.user_id, erasure_id=new_id())
    unreadable = b"no event of " + str(erased.user_id).encode()
    await broker.send(f"{QUEUE}.dead", body_of(erased), body_of(other), unreadable)
    worker = await start()

    async def one_is_left():
        _, document = await worker.health("readiness")
        assert document["dead_letters"] == "ok: 0 records and 1 messages wait"

    await eventually(one_is_left, seconds=START_SECONDS)
    _, lines = await worker.end(signal.SIGTERM, 5)
    assert str(erased.user_id) not in json.dumps(lines)
    (left,) = await broker.drain(f"{QUEUE}.dead")
    assert str(other.user_id).encode() in left.body


async def test_dead_letters_are_looked_through_only_when_something_has_changed(
    hearer, broker, body_of, an_event, monkeypatch
):
    looks, dead = [], f"{QUEUE}.dead"

    async def looking(connection, queue, unwanted):
        looks.append(queue)
        return await take_out(connection, queue, unwanted)

    async def look_twice():
        for _ in range(2):
            await letters.look()

            async def they_lie_there_again():
                # What was taken to be looked at goes back when the broker has closed the channel.
                assert await inbound.messages_in(dead) == letters.messages[QUEUE]

            await eventually(they_lie_there_again)
        return len(looks), letters.messages

    monkeypatch.setattr(dead_letters_module, "take_out", looking)
    inbound = BrokerConnection(broker.url("consent"))
    inbound.connect()
    try:

        async def connected():
            assert await inbound.is_connected()

        await eventually(connected)
        letters, erased = dead_letters_module.DeadLetters(hearer, inbound, [QUEUE]), an_event()
        await broker.send(dead, body_of(erased), *(body_of(an_event()) for _ in range(250)))
        assert await look_twice() == (1, {QUEUE: 251})
        async with hearer.unit_of_work() as uow:
            await uow.add_tombstone(erased.user_id, erasure_id=new_id())
            # As the journal does with the tombstone.
            head = hearer.tables.journal_head
            await uow.session.execute(update(head).values(position=head.c.position + 1))
        assert await look_twice() == (2, {QUEUE: 250})
    finally:
        await inbound.close()
    assert len(await broker.drain(dead)) == 250


async def test_records_of_dead_letters_are_forgotten_after_ninety_days(hearer, rows, scratch):
    for age in (0, 89, 91, 400):
        await scratch.execute(
            "INSERT INTO consent.dead_letters (consumer, body_digest, error_class, parked_at) "
            f"VALUES ('q', '{age}', 'E', now() - interval '{age} days')"
        )
    assert await purge_dead_letters(hearer) == 2
    assert [row["body_digest"] for row in await rows("consent.dead_letters")] == ["0", "89"]


async def test_backlog_of_the_outbox_is_told_by_readiness(start, hearer, scratch):
    async with hearer.unit_of_work() as uow:
        uow.publish(ErasureReported.by("consent").of(new_id(), completed_at=hearer.clock.now(), erased={}))
    await scratch.execute(
        "UPDATE consent.outbox SET next_attempt_at = now() + interval '1 hour', attempts = 3, "
        "created_at = now() - interval '90 seconds'"
    )
    worker = await start()

    async def it_is_told():
        status, document = await worker.health("readiness")
        assert status == 200
        assert document["outbox"].startswith("ok: 1 wait, 1 failing, the oldest for ")

    await eventually(it_is_told, seconds=START_SECONDS)
    await scratch.execute("DELETE FROM consent.outbox")


async def test_worker_that_never_saw_the_broker_stops_at_once(start, broker):
    async with broker.proxy() as proxy:
        proxy.cut(refusing=True)
        worker = await start(broker_via=proxy)
        await eventually(worker.is_alive, seconds=START_SECONDS)
        status, _ = await worker.end(signal.SIGTERM, 5)
    assert status == 0


async def test_health_port_that_is_taken_ends_the_process(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        worker = await start(WIDGET_WORKER_PORT=str(taken.getsockname()[1]))
        status, _ = await worker.ended(START_SECONDS)
    assert status not in {0, None}

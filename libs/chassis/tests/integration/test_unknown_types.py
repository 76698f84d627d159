"""A consumer of yesterday meets types of tomorrow: they wait, hold nobody up, and reach who knows them."""

import time

import pytest
from sqlalchemy import text

from chassis import consumer as consumer_module
from chassis.broker import EventPublisher
from chassis.consumer import Consumer, Inbound, Outcome
from chassis.ids import new_id
from contracts.identity import UserDeleted
from support import eventually

QUEUE = "consent.erase-user"
OF_TOMORROW = "identity.user.deleted.v2"
BACK_AFTER_MILLISECONDS = 500


class UserDeletedTomorrow(UserDeleted, type=OF_TOMORROW):
    """What tomorrow's release calls the end of an account."""


async def act(uow, envelope):
    await uow.session.execute(text("INSERT INTO consent.effects VALUES (:id, '')"), {"id": envelope.id})


class CountingPublisher(EventPublisher):
    """A publisher that knows how often it was asked to put a message off."""

    rounds = 0

    async def put_off(self, queue, message, headers):
        self.rounds += 1
        await super().put_off(queue, message, headers)


@pytest.fixture(autouse=True)
async def soon(broker):
    await broker.bring_back_after(BACK_AFTER_MILLISECONDS)
    yield
    await broker.restore_policy("later")


@pytest.fixture
async def open_later(broker):
    """Return a function that connects what puts messages off, as consent."""
    opened = []

    async def connect(*, via=None):
        publisher = CountingPublisher(broker.url("consent", via=via))
        opened.append(publisher)
        publisher.connect()

        async def connected():
            assert await publisher.is_connected()

        await eventually(connected)
        return publisher

    yield connect
    for publisher in opened:
        await publisher.close()


@pytest.fixture
def start(take_from):
    """Return a function that consumes the queue with a release that knows these events."""

    async def begin(later, *events, patience=60.0):
        return await take_from(QUEUE, dict.fromkeys(events, act), later=later, patience_seconds=patience)

    return begin


@pytest.fixture
def of_tomorrow(body_of, an_event):
    """Return a function that makes messages of tomorrow's type: their ids and bodies."""

    def make(number):
        ids = [new_id() for _ in range(number)]
        event = UserDeletedTomorrow(**an_event().model_dump())
        return ids, [body_of(event, event_id) for event_id in ids]

    return make


@pytest.fixture
def acted(rows):
    def on(event_ids):
        async def check():
            assert {row["event_id"] for row in await rows("consent.effects")} == set(event_ids)
            assert len(await rows("consent.effects")) == len(event_ids)

        return check

    return on


async def test_forty_of_tomorrow_hold_no_known_one_up_and_reach_who_knows_them(
    start, open_later, of_tomorrow, broker, body_of, an_event, acted, rows, logged
):
    ids, bodies = of_tomorrow(40)
    known = new_id()
    await broker.send(QUEUE, *bodies)
    await broker.send(QUEUE, body_of(an_event(), known))
    later = await open_later()
    yesterday = await start(later, UserDeleted)
    began = time.monotonic()
    await eventually(acted([known]), seconds=5)
    assert time.monotonic() - began < 2
    assert await rows("consent.dead_letters") == []

    await start(later, UserDeleted, UserDeletedTomorrow)
    # Both take from the queue, so a message may meet yesterday's a few times more.
    await eventually(acted([known, *ids]), seconds=30)
    assert await broker.drain(f"{QUEUE}.dead") == []
    said = [line for line in logged() if line["event"] == "event_not_known_yet"]
    assert {line["type"] for line in said} == {OF_TOMORROW}
    assert len(said) <= len(ids)
    await yesterday.close()


async def test_message_is_put_off_once_per_round_and_parked_when_patience_ends(
    start, open_later, of_tomorrow, broker, rows
):
    (event_id,), bodies = of_tomorrow(1)
    await broker.send(QUEUE, *bodies)
    later = await open_later()
    await start(later, UserDeleted, patience=3.0)

    async def it_is_parked():
        assert [
            (letter["event_id"], letter["type"], letter["error_class"].split()[0])
            for letter in await rows("consent.dead_letters")
        ] == [(event_id, OF_TOMORROW, "UnknownEventType")]

    await eventually(it_is_parked, seconds=15)
    # Whole seconds are counted: between two and three of them in rounds of half a second.
    assert 3 <= later.rounds <= 3_000 / BACK_AFTER_MILLISECONDS + 1

    async def it_lies_among_the_dead_letters():
        assert [message.body for message in await broker.drain(f"{QUEUE}.dead")] == bodies

    await eventually(it_lies_among_the_dead_letters)


async def test_nothing_is_lost_while_putting_off_is_impossible(
    start, open_later, of_tomorrow, broker, acted, monkeypatch
):
    monkeypatch.setattr(consumer_module, "HOLD_SECONDS", (0.1, 0.5))
    ids, bodies = of_tomorrow(20)
    async with broker.proxy() as network:
        later = await open_later(via=network)
        network.cut(refusing=True)
        await broker.send(QUEUE, *bodies)
        await start(later, UserDeleted)

        async def they_are_held():
            assert later.rounds >= 16

        await eventually(they_are_held)
        network.heal()
        await start(later, UserDeletedTomorrow)
        await eventually(acted(ids), seconds=30)


async def test_unknown_type_under_another_services_name_is_parked_at_once(
    hearer, open_later, of_tomorrow, rows
):
    _, (body,) = of_tomorrow(1)
    later = await open_later()
    handling = Inbound(hearer, Consumer(QUEUE, {UserDeleted: act}), later=later, patience_seconds=60.0)
    outcome = await handling.process(body, routing_key="storage.photo.deleted.v1")
    assert outcome is Outcome.PARKED
    assert [row["error_class"].split()[0] for row in await rows("consent.dead_letters")] == ["ForgedEvent"]

"""The relay and its publisher on RabbitMQ, with queues missing, full and out of reach."""

import asyncio
import time
from datetime import UTC, datetime
from uuid import UUID

import pytest

from chassis import relay as relay_module
from chassis.broker import BrokerUnavailable, EventPublisher, OutgoingMessage
from chassis.ids import new_id
from chassis.relay import Relay
from contracts.envelope import parse_head, wrap
from contracts.fields import AuthProvider, RevocationReason
from contracts.identity import SessionRevoked, UserRegistered, UserVerified
from support import eventually

QUEUE = "consent.erase-user"
REGISTERED = "identity.user.registered.v1"
ONLY_HEARER = "storage.open-keys"


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch):
    monkeypatch.setattr(relay_module, "ROW_BACKOFF_SECONDS", (0.1, 0.5))


@pytest.fixture
def announce(sender):
    async def commit(*events):
        async with sender.unit_of_work() as uow:
            for event in events:
                uow.publish(event)

    return commit


@pytest.fixture
async def run_relay(sender):
    """Return a function that starts a relay with a publisher, as a worker does."""
    tasks = []

    def start(publisher):
        tasks.append(asyncio.create_task(Relay(sender, publisher).run()))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def outbox_is_empty(rows):
    async def check():
        assert await rows("identity.outbox") == []

    return check


def message_of(event):
    envelope = wrap(event, event_id=new_id(), time=datetime.now(UTC))
    return OutgoingMessage(
        event_id=envelope.id,
        type=envelope.type,
        producer="identity",
        body=envelope.to_json(),
        time=envelope.time,
        traceparent=None,
        mandatory=True,
    )


def subjects(messages):
    return [parse_head(message.body).subject for message in messages]


async def test_events_reach_every_queue_bound_to_them_and_are_persistent(
    open_publisher, run_relay, announce, an_event, outbox_is_empty, broker
):
    people = [new_id() for _ in range(20)]
    for _ in range(3):
        await announce(*map(an_event, people))
    run_relay(await open_publisher())
    await eventually(outbox_is_empty)

    for queue in (QUEUE, "identity.erase-user", "storage.erase-user"):
        messages = await broker.drain(queue)
        assert len(messages) == 60
        assert all(message.delivery_mode == 2 for message in messages)
        assert all(UUID(message.message_id) == parse_head(message.body).id for message in messages)


@pytest.fixture
def registered():
    """Return a function that makes an event which only one queue receives."""

    def event(user_id):
        return UserRegistered(
            user_id=user_id, auth_provider=AuthProvider.EMAIL, registered_at=datetime.now(UTC)
        )

    return event


async def test_thousand_events_of_one_person_leave_as_fast_as_of_a_thousand_people(
    open_publisher, run_relay, announce, an_event, outbox_is_empty
):
    run_relay(await open_publisher())

    async def seconds_for(people):
        began = time.monotonic()
        await announce(*map(an_event, people))
        await eventually(outbox_is_empty, seconds=60)
        return time.monotonic() - began

    one = new_id()
    of_many = await seconds_for([new_id() for _ in range(1000)])
    of_one = await seconds_for([one] * 1000)
    # With the order per person that was kept once, it took more than thirty times as long.
    assert of_one < 5 * of_many


async def test_row_without_a_route_waits_for_its_route_while_others_go_on(
    open_publisher, run_relay, announce, an_event, registered, broker, rows, outbox_is_empty
):
    stuck, other = new_id(), new_id()
    relay = run_relay(await open_publisher())
    await broker.unbind(ONLY_HEARER, REGISTERED)
    try:
        await announce(registered(stuck), registered(stuck), an_event(other))

        async def only_the_stuck_rows_are_left():
            left = await rows("identity.outbox")
            assert [row["last_error"] for row in left] == ["PublishError"] * 2
            assert left[0]["attempts"] >= 2

        await eventually(only_the_stuck_rows_are_left)
        assert subjects(await broker.drain(QUEUE)) == [f"users/{other}"]
    finally:
        await broker.bind(ONLY_HEARER, REGISTERED)
    await eventually(outbox_is_empty)
    assert subjects(await broker.drain(ONLY_HEARER)) == [f"users/{stuck}"] * 2
    assert not relay.done()


async def test_row_that_closes_the_channel_waits_by_itself_and_says_why(
    open_publisher, run_relay, announce, an_event, broker, rows, scratch
):
    # Identity's user may not publish under another service's name: the broker closes the channel.
    await announce(an_event())
    await scratch.execute("UPDATE identity.outbox SET type = 'storage.photo.deleted.v1'")
    people = [new_id() for _ in range(50)]
    await announce(*map(an_event, people))
    relay = run_relay(await open_publisher())

    async def only_the_forbidden_one_is_left():
        left = await rows("identity.outbox")
        assert [row["type"] for row in left] == ["storage.photo.deleted.v1"]
        assert left[0]["attempts"] >= 1
        assert "Refused" in left[0]["last_error"]

    await eventually(only_the_forbidden_one_is_left, seconds=15)
    assert set(subjects(await broker.drain(QUEUE))) == {f"users/{person}" for person in people}
    assert not relay.done()


async def test_event_that_nobody_hears_leaves_the_outbox(
    open_publisher, run_relay, announce, outbox_is_empty
):
    # No queue is bound to it by design, so an answer "unroutable" is no fault.
    await announce(UserVerified(user_id=new_id(), verified_at=datetime.now(UTC)))
    run_relay(await open_publisher())
    await eventually(outbox_is_empty)


@pytest.mark.parametrize("mandatory", ["NULL", "true"])
async def test_type_that_the_relay_does_not_know_is_kept_until_somebody_is_bound_to_it(
    open_publisher, run_relay, announce, an_event, scratch, broker, rows, outbox_is_empty, mandatory
):
    await announce(an_event())
    await scratch.execute(
        f"UPDATE identity.outbox SET type = 'identity.user.of.tomorrow', mandatory = {mandatory}"
    )
    run_relay(await open_publisher())

    async def it_is_refused_and_kept():
        assert [row["last_error"] for row in await rows("identity.outbox")] == ["PublishError"]

    await eventually(it_is_refused_and_kept)
    await broker.bind(QUEUE, "identity.user.of.tomorrow")
    try:
        await eventually(outbox_is_empty)
    finally:
        await broker.unbind(QUEUE, "identity.user.of.tomorrow")
    assert len(await broker.drain(QUEUE)) == 1


async def test_author_decides_whether_an_event_must_be_heard(
    open_publisher, run_relay, announce, registered, scratch, broker, rows
):
    await announce(registered(new_id()), UserVerified(user_id=new_id(), verified_at=datetime.now(UTC)))
    assert [row["mandatory"] for row in await rows("identity.outbox")] == [True, False]
    await scratch.execute("UPDATE identity.outbox SET mandatory = NOT mandatory")
    await broker.unbind(ONLY_HEARER, REGISTERED)
    try:
        run_relay(await open_publisher())

        async def only_what_its_author_wants_heard_is_left():
            left = [(row["type"], row["last_error"]) for row in await rows("identity.outbox")]
            assert left == [(UserVerified.type, "PublishError")]

        await eventually(only_what_its_author_wants_heard_is_left)
    finally:
        await broker.bind(ONLY_HEARER, REGISTERED)


async def test_event_whose_queue_was_retired_after_it_was_written_leaves(
    open_publisher, run_relay, announce, scratch, outbox_is_empty
):
    await announce(SessionRevoked(user_id=new_id(), session_id=None, reason=RevocationReason.LOGOUT))
    await scratch.execute("UPDATE identity.outbox SET mandatory = true")
    run_relay(await open_publisher())
    await eventually(outbox_is_empty)


async def test_full_queue_holds_back_only_what_it_refuses_and_gets_all_of_it_later(
    open_publisher, run_relay, announce, an_event, registered, broker, rows, outbox_is_empty
):
    people, other = [], new_id()
    run_relay(await open_publisher())
    await broker.set_policy(ONLY_HEARER, {"max-length": 1, "overflow": "reject-publish"})
    try:
        # A queue tells that it is full a moment later: those that come until then find room.
        async def refused():
            people.append(new_id())
            await announce(registered(people[-1]))
            errors = {row["last_error"] for row in await rows("identity.outbox")}
            assert "DeliveryError" in errors

        await eventually(refused)
        await announce(an_event(other))

        async def the_other_is_through():
            assert f"users/{other}" not in {row["subject"] for row in await rows("identity.outbox")}

        await eventually(the_other_is_through)
    finally:
        await broker.restore_policy(ONLY_HEARER)
    await eventually(outbox_is_empty)
    assert set(subjects(await broker.drain(ONLY_HEARER))) == {f"users/{person}" for person in people}


async def test_publish_into_a_blackhole_ends_in_time_and_nothing_is_lost(
    open_publisher, run_relay, announce, an_event, broker, outbox_is_empty
):
    people = [new_id() for _ in range(10)]
    async with broker.proxy() as proxy:
        publisher = await open_publisher(via=proxy)
        relay = run_relay(publisher)
        await announce(an_event(people[0]))
        await eventually(outbox_is_empty)

        proxy.blackhole()
        await announce(*map(an_event, people[1:]))
        begun = asyncio.get_running_loop().time()
        with pytest.raises((TimeoutError, BrokerUnavailable)):
            await publisher.publish(message_of(an_event(new_id())))
        assert asyncio.get_running_loop().time() - begun <= 6
        assert not relay.done()

        proxy.heal()
        await eventually(outbox_is_empty)
        assert set(subjects(await broker.drain(QUEUE))) >= {f"users/{person}" for person in people}
        assert not relay.done()


async def test_connections_cut_again_and_again_lose_nothing(
    open_publisher, run_relay, announce, an_event, broker, outbox_is_empty, monkeypatch
):
    people = [new_id() for _ in range(10)]
    async with broker.proxy() as proxy:
        publisher = await open_publisher(via=proxy)
        publishing = asyncio.Event()
        publish = publisher.publish

        async def watched(message):
            publishing.set()
            await publish(message)

        monkeypatch.setattr(publisher, "publish", watched)
        relay = run_relay(publisher)
        for _ in range(3):
            # Held back and then cut: the client cancels the publishes that wait for their confirm.
            proxy.blackhole()
            publishing.clear()
            for _ in range(2):
                await announce(*map(an_event, people))
            await asyncio.wait_for(publishing.wait(), timeout=5)
            proxy.cut()
            proxy.heal()
            await eventually(outbox_is_empty)
        assert not relay.done()

    arrived = [parse_head(message.body) for message in await broker.drain(QUEUE)]
    for person in people:
        mine = [head for head in arrived if head.subject == f"users/{person}"]
        assert len({head.id for head in mine}) == 6


async def test_publisher_started_without_a_broker_works_when_there_is_one(
    run_relay, announce, an_event, broker, outbox_is_empty
):
    async with broker.proxy() as proxy:
        proxy.cut(refusing=True)
        publisher = EventPublisher(broker.url("identity", via=proxy))
        publisher.connect()
        relay = run_relay(publisher)
        await announce(an_event())
        assert not await publisher.is_connected()
        with pytest.raises(BrokerUnavailable):
            await publisher.publish(message_of(an_event()))

        proxy.heal()
        await eventually(outbox_is_empty)
        assert not relay.done()
        await publisher.close()

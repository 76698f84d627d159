"""The relay with a publisher that the test controls; the real broker has tests of its own."""

import asyncio
import random
from collections import Counter

import pytest
from aio_pika.exceptions import DeliveryError
from pamqp.commands import Basic
from sqlalchemy import select

from chassis import relay as relay_module
from chassis import work_table as work_table_module
from chassis.broker import BrokerUnavailable
from chassis.ids import new_id
from chassis.relay import Relay
from support import eventually

RELAYS = 4


class Publisher:
    """Remembers what arrived, and fails in the ways that the test asks for."""

    def __init__(self):
        self.arrived = []
        self.failures = asyncio.Queue()
        self.stop_at = {}
        self.connected = asyncio.Queue()

    async def publish(self, message):
        if not self.failures.empty():
            raise self.failures.get_nowait()
        self.arrived.append(message.event_id)

    async def publish_alone(self, message):
        await self.publish(message)

    async def is_connected(self):
        if not self.connected.empty():
            answer = self.connected.get_nowait()
            if isinstance(answer, BaseException):
                raise answer
            return answer
        return True


@pytest.fixture
def publisher():
    return Publisher()


@pytest.fixture
def relay(sender, publisher):
    return Relay(sender, publisher)


@pytest.fixture
async def running(relay):
    """The relay as a worker runs it."""
    task = asyncio.create_task(relay.run())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def announce(sender, an_event):
    """Return a function that commits an event about each person and returns the events' ids, in order."""

    async def commit(*people):
        async with sender.unit_of_work() as uow:
            for person in people:
                uow.publish(an_event(person))
            await uow.flush_events()
            outbox = uow.tables.outbox
            written = await uow.session.scalars(select(outbox.c.event_id).order_by(outbox.c.position.desc()))
            return written.all()[: len(people)][::-1]

    return commit


@pytest.fixture
def forget_leases(scratch):
    """Return a function that makes every lease run out."""

    async def forget():
        await scratch.execute(
            "UPDATE identity.outbox SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL"
        )

    return forget


async def test_confirmed_row_leaves_the_outbox(relay, publisher, announce, rows):
    ids = await announce(new_id(), new_id())
    assert await relay.relay_once() == 2
    assert sorted(publisher.arrived) == sorted(ids)
    assert await rows("identity.outbox") == []


async def test_rows_of_one_subject_leave_side_by_side(relay, publisher, announce):
    person = new_id()
    ids = await announce(*[person] * 100)
    assert await relay.relay_once() == 100
    assert sorted(publisher.arrived) == sorted(ids)


class Stage:
    """A publisher whose messages wait on the wire until the test lets them through."""

    def __init__(self):
        self.entered = asyncio.Event()
        self.confirm = asyncio.Event()
        self.arrived = []

    async def publish(self, message):
        self.entered.set()
        await self.confirm.wait()
        self.arrived.append(message.event_id)

    async def is_connected(self):
        return True


async def test_leased_row_belongs_to_one_relay_until_its_lease_runs_out(
    sender, relay, publisher, announce, forget_leases
):
    (event_id,) = await announce(new_id())
    stage = Stage()
    stalled = asyncio.create_task(Relay(sender, stage).relay_once())
    await stage.entered.wait()

    assert await relay.relay_once() == 0
    await forget_leases()
    assert await relay.relay_once() == 1
    assert publisher.arrived == [event_id]

    stage.confirm.set()
    await stalled


async def test_relay_that_lost_its_lease_removes_nothing(sender, announce, forget_leases, rows):
    await announce(new_id())
    early, late = Stage(), Stage()
    slow = asyncio.create_task(Relay(sender, early).relay_once())
    await early.entered.wait()
    await forget_leases()
    other = asyncio.create_task(Relay(sender, late).relay_once())
    await late.entered.wait()

    early.confirm.set()
    await slow
    # The other relay is still publishing this row; only its own confirm may remove it.
    assert len(await rows("identity.outbox")) == 1
    late.confirm.set()
    await other
    assert await rows("identity.outbox") == []


async def test_relay_killed_before_it_could_remove_the_row_leads_to_a_second_delivery(
    sender, relay, publisher, announce, forget_leases, monkeypatch, rows
):
    (event_id,) = await announce(new_id())
    settling = asyncio.Event()

    async def killed(*_):
        settling.set()
        await asyncio.Event().wait()

    doomed = Relay(sender, publisher)
    monkeypatch.setattr(doomed, "_settle", killed)
    task = asyncio.create_task(doomed.relay_once())
    await settling.wait()
    task.cancel()
    await asyncio.wait([task])
    assert len(await rows("identity.outbox")) == 1

    await forget_leases()
    await relay.relay_once()
    assert publisher.arrived == [event_id, event_id]
    assert await rows("identity.outbox") == []


async def test_refused_row_waits_by_itself_and_says_why(relay, publisher, announce, rows):
    stuck, other = new_id(), new_id()
    first, second, of_other = await announce(stuck, stuck, other)
    publisher.failures.put_nowait(DeliveryError(None, Basic.Nack()))

    assert await relay.relay_once() == 3
    assert sorted(publisher.arrived) == sorted([second, of_other])
    waiting = {row["event_id"]: row for row in await rows("identity.outbox")}
    assert waiting[first]["last_error"] == "DeliveryError"
    assert waiting[first]["attempts"] == 1
    assert waiting[first]["lease_token"] is None
    assert waiting[first]["next_attempt_at"] > waiting[first]["created_at"]
    # It isn't tried again at once.
    assert await relay.relay_once() == 0


async def test_row_that_was_refused_1030_times_waits_once_more_and_ends_nothing(
    relay, publisher, announce, rows, scratch
):
    (stuck,) = await announce(new_id())
    await scratch.execute("UPDATE identity.outbox SET attempts = 1030")
    publisher.failures.put_nowait(DeliveryError(None, Basic.Nack()))
    running = asyncio.create_task(relay.run())

    async def waits_once_more():
        assert [row["attempts"] for row in await rows("identity.outbox")] == [1031]

    await eventually(waits_once_more)
    (other,) = await announce(new_id())

    async def the_other_has_left():
        assert [row["event_id"] for row in await rows("identity.outbox")] == [stuck]

    await eventually(the_other_has_left)
    assert publisher.arrived == [other]
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_stopped_relay_finishes_its_batch_and_leaves_no_lease(sender, announce, rows):
    ids = await announce(*(new_id() for _ in range(300)))
    stage = Stage()
    relaying = asyncio.create_task(Relay(sender, stage).run())
    await stage.entered.wait()
    relaying.cancel()
    asyncio.get_running_loop().call_soon(stage.confirm.set)
    await asyncio.wait([relaying])

    left = await rows("identity.outbox")
    assert {row["lease_token"] for row in left} == {None}
    assert len(stage.arrived) == relay_module.BATCH
    assert sorted([*stage.arrived, *(row["event_id"] for row in left)]) == sorted(ids)


async def test_unreachable_broker_frees_the_rows_at_once(relay, publisher, announce, rows):
    (event_id,) = await announce(new_id())
    publisher.failures.put_nowait(BrokerUnavailable())
    with pytest.raises(BrokerUnavailable):
        await relay.relay_once()

    (row,) = await rows("identity.outbox")
    assert (row["lease_token"], row["attempts"], row["last_error"]) == (None, 0, None)
    await relay.relay_once()
    assert publisher.arrived == [event_id]


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(asyncio.CancelledError(), id="cancelled by a lost connection"),
        pytest.param(TimeoutError(), id="no confirm in time"),
        pytest.param(RuntimeError(), id="a bug of the client library"),
    ],
)
async def test_relay_survives_a_publish_that_ends_with(failure, publisher, running, announce, rows):
    publisher.failures.put_nowait(failure)
    ids = await announce(new_id(), new_id())

    async def everything_arrived():
        assert sorted(publisher.arrived) == sorted(ids)
        assert await rows("identity.outbox") == []

    await eventually(everything_arrived)
    assert not running.done()


async def test_relay_survives_a_cancellation_that_is_not_its_own(publisher, running, announce, rows):
    publisher.connected.put_nowait(asyncio.CancelledError())
    await announce(new_id())

    async def everything_left():
        assert await rows("identity.outbox") == []

    await eventually(everything_left)
    assert not running.done()


async def test_relay_survives_the_loss_of_its_database(
    open_database, database_proxy, publisher, announce, rows
):
    task = asyncio.create_task(Relay(open_database("identity", via=database_proxy), publisher).run())
    try:
        for _ in range(2):
            database_proxy.cut(refusing=True)
            (event_id,) = await announce(new_id())
            assert event_id not in publisher.arrived
            database_proxy.heal()

            async def arrived(event_id=event_id):
                assert event_id in publisher.arrived
                assert await rows("identity.outbox") == []

            await eventually(arrived)
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_relay_stops_when_it_is_told_to(publisher, running):
    running.cancel()
    await asyncio.wait([running], timeout=2)
    assert running.cancelled()


async def test_relay_ends_with_an_error_that_nobody_can_wait_out(running, scratch, announce):
    await scratch.execute("ALTER TABLE identity.outbox RENAME TO elsewhere")
    try:
        await asyncio.wait([running], timeout=5)
        assert running.done()
        assert running.exception() is not None
    finally:
        await scratch.execute("ALTER TABLE identity.elsewhere RENAME TO outbox")


async def test_commit_of_another_process_wakes_the_relay_long_before_it_would_poll(
    open_database, publisher, announce, monkeypatch
):
    monkeypatch.setattr(work_table_module, "IDLE_POLL_SECONDS", 60)

    async def a_commit_arrives_within(seconds):
        (event_id,) = await announce(new_id())

        async def arrived():
            assert event_id in publisher.arrived

        await eventually(arrived, seconds=seconds)

    database = open_database("identity")
    listening = asyncio.create_task(database.notifications.listen())
    task = asyncio.create_task(Relay(database, publisher).run())
    try:
        # What was committed before the process listened arrives with the next one.
        await eventually(lambda: a_commit_arrives_within(0.5))
        for _ in range(3):
            await a_commit_arrives_within(2)
    finally:
        task.cancel()
        listening.cancel()
        await asyncio.gather(task, listening, return_exceptions=True)


async def test_row_that_nobody_announced_is_found_by_the_poll(publisher, running, an_event, body_of, scratch):
    event, event_id = an_event(), new_id()
    connection = await scratch.connect()
    await connection.execute(
        "INSERT INTO identity.outbox (event_id, type, subject, body) VALUES ($1, $2, $3, $4)",
        event_id,
        event.type,
        event.subject,
        body_of(event, event_id),
    )
    await connection.close()

    async def arrived():
        assert publisher.arrived == [event_id]

    await eventually(arrived, seconds=5)


async def test_depth_says_how_many_rows_wait_and_how_long(relay, announce, scratch):
    assert (await relay.depth()).waiting == 0
    await announce(new_id(), new_id())
    await scratch.execute("UPDATE identity.outbox SET created_at = now() - interval '90 seconds'")
    depth = await relay.depth()
    assert depth.waiting == 2
    assert 90 <= depth.oldest_seconds < 120


class Trouble:
    """What four relays go through together; leases run out as late as can be."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.due = ["stall", "crash after", "crash before"]
        self.arrived = []
        self.stalled = set()
        self.faults = Counter()
        self.nothing_goes_on = asyncio.Event()
        self.leases_ran_out = asyncio.Event()

    async def let_time_pass(self, forget_leases):
        # By then everything that could overtake what is stuck has done so.
        while True:
            await self.nothing_goes_on.wait()
            self.nothing_goes_on.clear()
            await forget_leases()
            self.leases_ran_out.set()
            self.leases_ran_out.clear()


class Fate(Publisher):
    """Lets one round of a relay end well, stall for longer than its lease, or die at a chosen message."""

    def __init__(self, trouble):
        super().__init__()
        self.trouble = trouble
        kinds = {"well": 70, "crash before": 8, "crash after": 7, "stall": 15}
        # The first rounds, which are full, see every kind of trouble; chance decides about the others.
        self.kind = (
            trouble.due.pop() if trouble.due else trouble.chance.choices(list(kinds), kinds.values())[0]
        )
        self.at = trouble.chance.randint(1, 12)
        self.round = None

    async def publish(self, message):
        self.at -= 1
        if self.kind == "well" or self.at != 0:
            self.trouble.arrived.append(message.event_id)
            return
        self.trouble.faults[self.kind] += 1
        if self.kind == "stall":
            await self.stall()
            self.trouble.arrived.append(message.event_id)
            return
        if self.kind == "crash after":
            self.trouble.arrived.append(message.event_id)
        self.round.cancel()
        await asyncio.Event().wait()

    async def stall(self):
        self.trouble.stalled.add(self)
        if len(self.trouble.stalled) == RELAYS:
            self.trouble.nothing_goes_on.set()
        await self.trouble.leases_ran_out.wait()
        self.trouble.stalled.discard(self)


async def test_four_relays_that_crash_and_stall_publish_everything(
    sender, announce, forget_leases, rows, monkeypatch
):
    monkeypatch.setattr(relay_module, "BATCH", 12)
    seed = random.randrange(2**32)
    people = [new_id() for _ in range(60)]
    await announce(*people * 10)
    written = {row["event_id"] for row in await rows("identity.outbox")}
    trouble = Trouble(seed)

    async def relay():
        while (await Relay(sender, None).depth()).waiting:
            fate = Fate(trouble)
            fate.round = asyncio.create_task(Relay(sender, fate).relay_once())
            await asyncio.wait([fate.round])
            if not fate.round.cancelled() and fate.round.result() == 0:
                trouble.nothing_goes_on.set()

    time_passes = asyncio.create_task(trouble.let_time_pass(forget_leases))
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        for _ in range(RELAYS):
            tasks.create_task(relay())
    time_passes.cancel()

    assert len(written) == 600
    assert set(trouble.arrived) == written, f"seed {seed}"
    assert len(trouble.arrived) > 600, "no fault led to a second delivery: the test proved nothing"
    assert all(trouble.faults[kind] for kind in ("crash before", "crash after", "stall"))


async def test_rows_that_come_one_by_one_leave_together(
    open_database, round_trips, scratch, announce, monkeypatch, rows
):
    pace, clock = 0.5, asyncio.get_running_loop().time
    monkeypatch.setattr(relay_module, "PACE_SECONDS", pace)
    database = open_database("identity", pool_size=1, url=round_trips.way(scratch.url()))
    publisher = Publisher()
    began, relaying = clock(), asyncio.create_task(Relay(database, publisher).run())
    ids = [event_id for _ in range(20) for event_id in await announce(new_id())]

    async def all_have_left():
        assert sorted(publisher.arrived) == sorted(ids)
        assert await rows("identity.outbox") == []

    await eventually(all_have_left)
    most = 1 + (clock() - began) / pace
    relaying.cancel()
    await asyncio.gather(relaying, return_exceptions=True)
    removals = [said for said in round_trips.taken if said.startswith("DELETE FROM identity.outbox")]
    assert len(removals) <= most, "\n".join(removals)

"""How the worker watches its parts: whatever ends, however it ends, is noticed."""

import asyncio

import pytest

from chassis import worker
from chassis.broker import BrokerUnavailable
from chassis.consumer import Consumer
from chassis.faults import TransientFault
from chassis.worker import ConsumersLost, Periodic, Worker, missing_consumers


async def returns():
    return None


async def fails():
    raise LookupError("canary")


async def is_cancelled_by_a_lost_connection():
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (returns, "returned"),
        (fails, "LookupError in fails (test_supervision.py:"),
        (is_cancelled_by_a_lost_connection, "cancelled"),
    ],
)
async def test_part_that_ends_is_named_with_its_reason(part, said, logged):
    job = asyncio.create_task(worker._until_stopped(part(), asyncio.Event()), name="the-part")
    ended, _ = await asyncio.wait([job], timeout=2)
    assert ended
    worker._report_ended(ended)
    (line,) = logged()
    assert (line["event"], line["part"]) == ("worker_part_ended", "the-part")
    assert line["error"].startswith(said)


async def test_stop_ends_a_part_and_waits_for_its_cleaning_up():
    stop, begun, cleaned = asyncio.Event(), asyncio.Event(), []

    async def part():
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    job = asyncio.create_task(worker._until_stopped(part(), stop))
    await begun.wait()
    stop.set()
    await asyncio.wait_for(job, timeout=2)
    assert cleaned


async def test_periodic_work_outlives_a_passing_fault_and_not_a_lasting_one():
    turns = asyncio.Queue()
    faults = [TransientFault(), TimeoutError(), LookupError()]

    async def work():
        turns.put_nowait(1)
        raise faults.pop(0)

    with pytest.raises(LookupError):
        await asyncio.wait_for(worker._repeat(Periodic("work", 0, work)), timeout=2)
    assert turns.qsize() == 3


class Inbound:
    """A connection whose consumers the test takes away."""

    def __init__(self, *consuming):
        self.consuming = set(consuming)
        self.connected = True
        self.asked = asyncio.Queue()

    async def is_connected(self):
        return self.connected

    async def has_consumer(self, queue):
        self.asked.put_nowait(queue)
        if not self.connected:
            raise BrokerUnavailable
        return queue in self.consuming


def watch(inbound, *queues):
    watched = Worker(settings=None, database=None, consumers=[Consumer(queue, {}) for queue in queues])
    return asyncio.create_task(watched._watch_consumers(inbound))


@pytest.fixture
def short_watch(monkeypatch):
    monkeypatch.setattr(worker, "CONSUMER_CHECK_SECONDS", 0.01)
    monkeypatch.setattr(worker, "CONSUMERS_MISSING_SECONDS", 0.05)


async def test_consumers_that_stay_away_while_the_broker_answers_end_the_worker(short_watch):
    watching = watch(Inbound("q.one"), "q.one", "q.two")
    with pytest.raises(ConsumersLost, match=r"q\.two"):
        await asyncio.wait_for(watching, timeout=2)


async def test_broker_that_is_away_ends_nothing(short_watch):
    inbound = Inbound()
    inbound.connected = False
    watching = watch(inbound, "q.one")
    await asyncio.wait([watching], timeout=0.3)
    assert not watching.done()
    watching.cancel()
    await asyncio.wait([watching])


async def test_missing_consumers_are_listed():
    inbound = Inbound("q.one")
    consumers = [Consumer(queue, {}) for queue in ("q.one", "q.two")]
    assert await missing_consumers(inbound, consumers) == ["q.two"]
    inbound.connected = False
    with pytest.raises(BrokerUnavailable):
        await missing_consumers(inbound, consumers)

"""How a process watches its parts: whatever ends, however it ends, is noticed, and a stop has an order."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from chassis import process as process_module
from chassis import worker
from chassis.broker import BrokerUnavailable
from chassis.consumer import Consumer
from chassis.faults import TransientFault
from chassis.process import Part, Process
from chassis.work import Periodic, Work
from chassis.worker import ConsumersLost, Worker, missing_consumers
from support import eventually


async def returns():
    return None


async def fails():
    raise LookupError("canary")


async def asks_for_the_end():
    raise SystemExit(3)


async def is_cancelled_by_a_lost_connection():
    raise asyncio.CancelledError


async def forever():
    await asyncio.Event().wait()


@asynccontextmanager
async def opened(*parts):
    yield [part if isinstance(part, Part) else Part("the-part", part) for part in parts]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (returns, "returned"),
        (fails, "LookupError in fails (test_supervision.py:"),
        (is_cancelled_by_a_lost_connection, "cancelled"),
        (asks_for_the_end, "PartExited in "),
    ],
)
async def test_part_that_ends_ends_the_others_and_is_named_with_its_reason(part, said, logged):
    process, cleaned = Process(), []

    async def another():
        try:
            await forever()
        finally:
            cleaned.append(process.is_stopping)

    assert not await asyncio.wait_for(process.run(opened(part, another)), timeout=2)
    assert cleaned == [True]
    (line,) = logged()
    assert (line["event"], line["part"]) == ("part_ended", "the-part")
    assert line["error"].startswith(said)


async def test_stop_lets_parts_finish_in_order_before_anything_is_closed():
    process, told = Process(), []

    def part(name, **more):
        async def run():
            try:
                await forever()
            finally:
                told.append(f"{name} ended")

        async def finish():
            told.append(f"{name} finishes")

        return Part(name, run, finish=finish if name != "plain" else None, **more)

    @asynccontextmanager
    async def everything():
        yield [part("health", outlasts=True), part("server"), part("plain")]
        told.append("closed")

    running = asyncio.create_task(process.run(everything()))
    await eventually(lambda: begun(process))
    process.stop()
    process.stop()
    assert process.is_stopping
    assert await asyncio.wait_for(running, timeout=2)
    assert sorted(told[:3]) == ["plain ended", "server ended", "server finishes"]
    assert told[3:] == ["health finishes", "health ended", "closed"]


async def begun(process):
    assert not process.is_stopping


async def test_part_that_does_not_end_in_time_is_cut_and_the_process_ends_well(monkeypatch, logged):
    monkeypatch.setattr(process_module, "DRAIN_SECONDS", 0.05)
    process = Process()
    running = asyncio.create_task(process.run(opened(Part("stubborn", forever, finish=forever))))
    await eventually(lambda: begun(process))
    process.stop()
    assert await asyncio.wait_for(running, timeout=2)
    (line,) = logged()
    assert (line["event"], line["parts"]) == ("parts_cut", ["stubborn"])


async def test_part_that_fails_while_it_stops_is_named(logged):
    process = Process()

    async def breaks_at_the_end():
        try:
            await forever()
        finally:
            await fails()

    running = asyncio.create_task(process.run(opened(breaks_at_the_end)))
    await eventually(lambda: begun(process))
    process.stop()
    assert not await asyncio.wait_for(running, timeout=2)
    (line,) = logged()
    assert (line["event"], line["part"]) == ("part_failed_while_stopping", "the-part")


async def test_resources_that_do_not_close_keep_no_process(monkeypatch, logged):
    monkeypatch.setattr(process_module, "STOP_SECONDS", process_module.CUT_SECONDS + 0.05)

    @asynccontextmanager
    async def clinging():
        yield [Part("the-part", forever)]
        await forever()

    process = Process()
    running = asyncio.create_task(process.run(clinging()))
    await eventually(lambda: begun(process))
    process.stop()
    assert await asyncio.wait_for(running, timeout=2)
    assert [line["event"] for line in logged()] == ["not_closed_in_time"]


async def test_periodic_work_outlives_a_passing_fault_and_not_a_lasting_one():
    turns = asyncio.Queue()
    faults = [TransientFault(), TimeoutError(), LookupError()]

    async def work():
        turns.put_nowait(1)
        raise faults.pop(0)

    with pytest.raises(LookupError):
        await asyncio.wait_for(Periodic("work", 0, work).run(), timeout=2)
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
    work = Work(consumers=[Consumer(queue, {}) for queue in queues])
    watched = Worker(settings=None, database=None, work=work, announce=None)
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

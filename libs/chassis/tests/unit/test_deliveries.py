"""Which deliveries are taken together, and when one acknowledgement speaks for several."""

import asyncio
from types import SimpleNamespace

import pytest

from chassis import deliveries as deliveries_module
from chassis.deliveries import Arrivals, Delivery
from support import eventually


class Message:
    """A delivery of a channel, which remembers how it was acknowledged."""

    def __init__(self, tag, channel="one"):
        self.raw_message = SimpleNamespace(delivery_tag=tag, channel=channel)
        self.acknowledged = []

    async def ack(self, *, multiple=False):
        self.acknowledged.append("all before" if multiple else "it")


@pytest.fixture
def arrivals():
    return Arrivals()


def arrive(arrivals, *tags, channel="one"):
    found = [Delivery(Message(tag, channel), None, gone=False) for tag in tags]
    for delivery in found:
        arrivals.begin(delivery.message)
    return found


async def test_one_acknowledgement_speaks_for_all_that_have_arrived(arrivals):
    batch = arrive(arrivals, 1, 2, 3)
    await arrivals.acknowledge(batch)
    assert [delivery.message.acknowledged for delivery in batch] == [[], [], ["all before"]]
    assert all(delivery.settled for delivery in batch)


async def test_nothing_speaks_for_a_message_that_is_not_settled(arrivals):
    arrive(arrivals, 1)
    batch = arrive(arrivals, 2, 3)
    await arrivals.acknowledge(batch)
    assert not any(delivery.settled or delivery.message.acknowledged for delivery in batch)


async def test_what_was_settled_by_itself_is_in_nobodys_way(arrivals):
    (alone,) = arrive(arrivals, 2)
    batch = arrive(arrivals, 1, 3)
    arrivals.settle(alone.message)
    await arrivals.acknowledge(batch)
    assert all(delivery.settled for delivery in batch)


async def test_tags_of_an_earlier_channel_count_for_nothing(arrivals):
    old = arrive(arrivals, 1, 2, channel="lost")
    new = arrive(arrivals, 1, channel="new")
    await arrivals.acknowledge(old + new)
    assert not any(delivery.settled for delivery in old + new)
    await arrivals.acknowledge(new)
    assert new[0].settled


async def take(arrivals, delivery, taken, until=None):
    async with arrivals.turn(delivery) as batch:
        taken.append(batch)
        if until and batch:
            await until.wait()


def has_begun(batches):
    async def check():
        assert batches

    return check


async def test_who_was_taken_along_waits_for_the_end(arrivals, monkeypatch):
    monkeypatch.setattr(deliveries_module, "TURN_SECONDS", 0)
    batches, end = [], asyncio.Event()
    first, second, late = arrive(arrivals, 1, 2, 3)
    running = [asyncio.create_task(take(arrivals, each, batches, end)) for each in (first, second)]
    await eventually(has_begun(batches))
    assert batches == [[first, second]]
    # A turn that lasts is over for whoever comes later.
    behind = asyncio.create_task(take(arrivals, late, batches))
    await asyncio.wait_for(behind, timeout=5)
    assert batches == [[first, second], [late]]
    assert not running[1].done()
    end.set()
    await asyncio.gather(*running)


async def test_who_leaves_the_line_is_not_taken_along(arrivals):
    batches, end = [], asyncio.Event()
    first, second, third = arrive(arrivals, 1, 2, 3)
    leading = asyncio.create_task(take(arrivals, first, batches, end))
    await eventually(has_begun(batches))
    waiting = [asyncio.create_task(take(arrivals, each, batches)) for each in (second, third)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    end.set()
    await asyncio.gather(leading, waiting[1])
    assert batches == [[first], [third]]

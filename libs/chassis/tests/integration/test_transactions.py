"""While a transaction is open, no client of ours waits for a network."""

import asyncio

import pytest
from limits import parse
from sqlalchemy import text

from chassis.counters import Counters, connect_redis, counts_of
from chassis.http import NeighbourUnavailable, ServiceClient
from chassis.ids import new_id
from chassis.request_transaction import RequestTransaction
from chassis.transactions import NetworkInsideTransaction, outside_transactions


@pytest.fixture
async def counters(platform):
    redis = connect_redis("redis://127.0.0.1:9")
    yield Counters(redis, {"tries": parse("5/minute")}, keys=counts_of("test"), secret=bytes(32))
    await redis.aclose()


@pytest.fixture
async def neighbour():
    async with ServiceClient("http://127.0.0.1:9", audience="consent", tokens=None) as client:
        yield client


@pytest.fixture
def clients(counters, neighbour):
    """Return what each client of the chassis does on a network."""
    return [
        lambda: counters.take("tries", "somebody"),
        lambda: counters.spend("tries", "somebody"),
        lambda: counters.forgive("tries", "somebody"),
        lambda: neighbour.get("/anything"),
    ]


async def nothing(_connection):
    """Do nothing at the beginning."""


async def write(uow):
    await uow.session.execute(text("INSERT INTO identity.effects VALUES (:id, 'x')"), {"id": new_id()})


async def test_no_client_is_asked_inside_a_unit_of_work(sender, clients):
    async with sender.unit_of_work():
        for ask in clients:
            with pytest.raises(NetworkInsideTransaction):
                await ask()


async def test_no_client_is_asked_by_a_task_that_a_unit_of_work_waits_for(sender, clients):
    async with sender.unit_of_work():
        errors = await asyncio.gather(*(ask() for ask in clients), return_exceptions=True)
    assert {type(error) for error in errors} == {NetworkInsideTransaction}


async def test_no_client_is_asked_while_one_query_is_read(sender, clients):
    async with sender.read_only():
        for ask in clients:
            with pytest.raises(NetworkInsideTransaction):
                await ask()


async def test_clients_are_asked_after_a_unit_of_work_however_it_ended(sender, counters, neighbour):
    async with sender.unit_of_work() as uow:
        await write(uow)
    with pytest.raises(LookupError):
        async with sender.unit_of_work():
            raise LookupError
    assert (await counters.take("tries", "somebody")).allowed
    with pytest.raises(NeighbourUnavailable):
        await neighbour.get("/anything")


async def test_task_that_outlives_the_transaction_it_was_started_in_may_ask(sender):
    ended = asyncio.Event()

    async def later():
        await ended.wait()
        outside_transactions("anybody")

    async with sender.unit_of_work():
        task = asyncio.create_task(later())
    ended.set()
    await task


async def test_request_with_a_key_asks_nobody_from_its_first_write_until_its_commit(sender):
    async with RequestTransaction(sender, on_begin=nothing) as shared:
        async with sender.unit_of_work() as uow:
            await uow.session.execute(text("SELECT 1"))
        outside_transactions("anybody")
        async with sender.unit_of_work() as uow:
            await write(uow)
        with pytest.raises(NetworkInsideTransaction):
            outside_transactions("anybody")
        asked = []

        async def ask():
            outside_transactions("anybody")
            asked.append(True)

        await sender.when_durable(ask)
        await shared.commit()
    assert asked == [True]

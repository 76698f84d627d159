import asyncio
from types import SimpleNamespace

import aiohttp
import pytest
from aio_pika.exceptions import AMQPConnectionError, DeliveryError
from pamqp.commands import Basic
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from chassis import broker, engine  # noqa: F401 - who uses a library knows its errors
from chassis.faults import TransientFault, asked_to_stop, is_transient


def from_postgresql(sqlstate, kind=DBAPIError):
    return kind("SELECT 1", {}, SimpleNamespace(sqlstate=sqlstate))


PASSING = {
    "connection failure": from_postgresql("08006"),
    "too many connections": from_postgresql("53300"),
    "disk full": from_postgresql("53100"),
    "admin shutdown": from_postgresql("57P01"),
    "starting up": from_postgresql("57P03"),
    "statement time-out": from_postgresql("57014"),
    "deadlock": from_postgresql("40P01"),
    "serialization failure": from_postgresql("40001"),
    "lock time-out": from_postgresql("55P03"),
    "i/o error": from_postgresql("58030"),
    "connection gone": from_postgresql(None, InterfaceError),
    "connection never made": from_postgresql(None, OperationalError),
    "pool exhausted": PoolTimeoutError(),
    "broker gone": AMQPConnectionError(),
    "broker refused": DeliveryError(None, Basic.Nack()),
    "neighbour gone": aiohttp.ClientConnectionError(),
    "time-out": TimeoutError(),
    "socket error": ConnectionResetError(),
    "said so": TransientFault(),
}
LASTING = {
    "unique violation": from_postgresql("23505", IntegrityError),
    "missing table": from_postgresql("42P01", ProgrammingError),
    "no right": from_postgresql("42501", ProgrammingError),
    "value too long": from_postgresql("22001"),
    "a bug": KeyError(),
    "cancelled": asyncio.CancelledError(),
}


@pytest.mark.parametrize("error", PASSING.values(), ids=PASSING)
def test_fault_that_passes_by_itself_is_known(error):
    assert is_transient(error)


@pytest.mark.parametrize("error", LASTING.values(), ids=LASTING)
def test_fault_that_comes_back_is_known(error):
    assert not is_transient(error)


async def test_task_knows_its_own_end_from_a_cancellation_that_came_by():
    known, waiting = [], asyncio.Event()

    async def wait(future):
        waiting.set()
        try:
            await future
        except asyncio.CancelledError:
            known.append(asked_to_stop())

    loop = asyncio.get_running_loop()
    stranger = loop.create_future()
    task = asyncio.create_task(wait(stranger))
    await waiting.wait()
    stranger.cancel()
    await task

    waiting.clear()
    task = asyncio.create_task(wait(loop.create_future()))
    await waiting.wait()
    task.cancel()
    await task
    assert known == [False, True]

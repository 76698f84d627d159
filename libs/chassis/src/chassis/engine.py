"""Connections to PostgreSQL: pooled, with ends to all waits, given up when their server takes no writes."""

import asyncio
import json
import os
import select
import socket
from typing import Any

from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.event import listen
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util import await_only

from chassis import context
from chassis.database_faults import READ_ONLY_TRANSACTION
from chassis.database_url import read_database_url
from chassis.driver import DriverConnection
from chassis.faults import TransientFault

REQUEST_SECONDS = 4.5
"""A request that has taken so long has no time left to wait for a connection: the gateway gives up soon."""
LINE_SECONDS = (1.0, 2.5)
"""How long a request waits for a connection, at least and at most."""
WORK_SECONDS = 30.0
"""How long anything else does: it has nobody who waits for it."""
# A server that is gone without a word is noticed while the connection rests, and while it is used.
_SIGNS_OF_LIFE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
DRIVER = "postgresql+asyncpg://"
# A statement without a name is replaced by the next one: none is left behind on a connection that is shared.
_WITHIN_ONE_TRANSACTION: dict[str, Any] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}
TAKES_NO_WRITES = text("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool")


def make_engine(url: SecretStr, *, application_name: str, pool_size: int = 10) -> AsyncEngine:
    """Return an engine whose errors show no row values and whose waits all end; ValueError for a bad URL."""
    address = read_database_url(url)
    engine = create_async_engine(
        DRIVER,
        poolclass=Line,
        pool_size=pool_size,
        max_overflow=0,
        pool_recycle=1800,
        hide_parameters=True,
        json_serializer=lambda value: json.dumps(value, sort_keys=True, separators=(",", ":")),
        connect_args={
            "dsn": address.dsn,
            "timeout": 5,
            "command_timeout": 10,
            "connection_class": DriverConnection,
            "server_settings": {"application_name": application_name},
            **(_WITHIN_ONE_TRANSACTION if address.pooled else {}),
        },
    )
    listen(engine.sync_engine, "connect", _ask_for_signs_of_life)
    listen(engine.sync_engine, "checkout", _leave_a_closed_connection)
    listen(engine.sync_engine, "handle_error", _leave_a_read_only_server)
    return engine


class Line(AsyncAdaptedQueuePool):
    """A pool of a fixed size, for which callers wait in the order in which they came."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._places = asyncio.Semaphore(self.size())

    def _do_get(self) -> ConnectionPoolEntry:
        await_only(self._wait_in_line())
        try:
            return super()._do_get()
        except (Exception, asyncio.CancelledError):
            self._places.release()
            raise

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        try:
            super()._do_return_conn(record)
        finally:
            self._places.release()

    async def _wait_in_line(self) -> None:
        try:
            async with asyncio.timeout(_patience()):
                await self._places.acquire()
        except TimeoutError:
            raise PoolTimeoutError("no connection became free in time") from None


def _patience() -> float:
    if context.arrived.get() is None:
        return WORK_SECONDS
    shortest, longest = LINE_SECONDS
    return min(max(context.seconds_left(REQUEST_SECONDS), shortest), longest)


def _ask_for_signs_of_life(connection: Any, _record: ConnectionPoolEntry) -> None:
    # The event loop's own object of the socket may not take options.
    with socket.socket(fileno=os.dup(_descriptor(connection))) as of_the_connection:
        of_the_connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _SIGNS_OF_LIFE.items():
            if option := getattr(socket, name, None):
                of_the_connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _leave_a_closed_connection(connection: Any, _record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Replace a connection that its server has closed; it is asked only if it has said something by itself.

    The library's own question costs three round trips per transaction, which is more than a short one.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError
    news = select.poll()
    news.register(_descriptor(connection), select.POLLIN)
    if news.poll(0):
        try:
            connection.ping()
        except Exception as error:
            raise DisconnectionError from error


def _descriptor(connection: Any) -> int:
    transport = connection.driver_connection._transport  # noqa: SLF001 - the driver has no public way to it
    return int(transport.get_extra_info("socket").fileno())


def _leave_a_read_only_server(context: ExceptionContext) -> None:
    # After a failover the old connections lead to what is a standby now; new ones are made to the primary.
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY_TRANSACTION:
        context.is_disconnect = True


class ReadOnlyServer(TransientFault):
    """The database answers and takes no writes."""

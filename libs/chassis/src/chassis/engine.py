"""Connections to PostgreSQL: pooled, with ends to all waits, given up when their server takes no writes."""

import json
import time
from typing import Any

from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.event import listen
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from chassis.database_url import read_database_url
from chassis.driver import DriverConnection
from chassis.faults import READ_ONLY_TRANSACTION, TransientFault

TRUSTED_SECONDS = 1.0
"""How long after its last use a database connection is taken for alive without asking."""
_USED_AT = "used_at"
DRIVER = "postgresql+asyncpg://"
# A statement without a name is replaced by the next one: none is left behind on a connection that is shared.
_WITHIN_ONE_TRANSACTION: dict[str, Any] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}
TAKES_NO_WRITES = text("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool")


def make_engine(
    url: SecretStr, *, application_name: str, pool_size: int = 10, overflow: int = 5
) -> AsyncEngine:
    """Return an engine whose errors show no row values and whose waits all end; ValueError for a bad URL."""
    address = read_database_url(url)
    engine = create_async_engine(
        DRIVER,
        pool_size=pool_size,
        max_overflow=overflow,
        pool_timeout=2,
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
    listen(engine.sync_engine, "checkin", _note_use)
    listen(engine.sync_engine, "checkout", _ask_when_rested)
    listen(engine.sync_engine, "handle_error", _leave_a_read_only_server)
    return engine


def _note_use(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = time.monotonic()


def _ask_when_rested(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Replace a connection that the server has closed.

    The library's own question costs three round trips per transaction, which is half of a short one. Here it
    is asked only of a connection that has rested: the loss of the others is seen on the socket.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError
    if time.monotonic() - record.info.get(_USED_AT, float("inf")) > TRUSTED_SECONDS:
        try:
            connection.ping()
        except Exception as error:
            raise DisconnectionError from error


def _leave_a_read_only_server(context: ExceptionContext) -> None:
    # After a failover the old connections lead to what is a standby now; new ones are made to the primary.
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY_TRANSACTION:
        context.is_disconnect = True


class ReadOnlyServer(TransientFault):
    """The database answers and takes no writes."""

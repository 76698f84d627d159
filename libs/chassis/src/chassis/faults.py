"""Which failures pass by themselves, and which will come back however often one tries."""

import asyncio

import aiohttp
from aio_pika.exceptions import AMQPError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# Connection failures, shutdowns, resource shortage, deadlocks, serialization failures and lock time-outs of
# PostgreSQL (appendix A of its manual).
_TRANSIENT_SQLSTATE_CLASSES = ("08", "53", "57", "40", "58")
_LOCK_NOT_AVAILABLE = "55P03"
READ_ONLY_TRANSACTION = "25006"
"""The server takes no writes, for example as a standby; connecting anew leads to one that does."""


class TransientFault(Exception):
    """A dependency can't answer now; the same call may succeed later."""


def is_transient(error: BaseException) -> bool:
    """Tell whether trying the same again later can succeed without anyone changing anything."""
    if isinstance(error, DBAPIError):
        return _is_transient_database_error(error)
    return isinstance(
        error,
        TransientFault
        | PoolTimeoutError
        | AMQPError
        | aiohttp.ClientConnectionError
        | asyncio.TimeoutError
        | ConnectionError
        | OSError,
    )


def _is_transient_database_error(error: DBAPIError) -> bool:
    sqlstate = str(getattr(error.orig, "sqlstate", None) or "")
    if sqlstate:
        passing = (_LOCK_NOT_AVAILABLE, READ_ONLY_TRANSACTION)
        return sqlstate.startswith(_TRANSIENT_SQLSTATE_CLASSES) or sqlstate in passing
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def is_lock_timeout(error: DBAPIError) -> bool:
    """Tell whether a statement gave up because somebody else held a lock for too long."""
    return getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def asked_to_stop() -> bool:
    """Tell whether somebody cancelled the running task; ask it on catching a CancelledError.

    A lost broker connection ends everything that waits for it with CancelledError as well, and a task that
    mistakes that for its own end dies in silence.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

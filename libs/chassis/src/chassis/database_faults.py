"""Which failures of PostgreSQL pass by themselves; `chassis.faults` knows them once this is imported."""

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from chassis.faults import passes

# Connection failures, shutdowns, resource shortage, deadlocks, serialization failures and lock time-outs of
# PostgreSQL (appendix A of its manual).
_TRANSIENT_SQLSTATE_CLASSES = ("08", "53", "57", "40", "58")
_LOCK_NOT_AVAILABLE = "55P03"
READ_ONLY_TRANSACTION = "25006"
"""The server takes no writes, for example as a standby; connecting anew leads to one that does."""


def _is_transient(error: DBAPIError) -> bool:
    sqlstate = str(getattr(error.orig, "sqlstate", None) or "")
    if sqlstate:
        passing = (_LOCK_NOT_AVAILABLE, READ_ONLY_TRANSACTION)
        return sqlstate.startswith(_TRANSIENT_SQLSTATE_CLASSES) or sqlstate in passing
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def is_lock_timeout(error: DBAPIError) -> bool:
    """Tell whether a statement gave up because somebody else held a lock for too long."""
    return getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


passes(PoolTimeoutError)
passes(DBAPIError, when=_is_transient)

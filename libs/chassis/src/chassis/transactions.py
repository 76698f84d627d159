"""Which transactions this task has open, so that nothing waits for a network while one is.

A transaction that waits for a mail server, an object store or a cache holds a connection that all share, for
as long as somebody else decides, and PostgreSQL ends it when that takes too long.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


class NetworkInsideTransaction(RuntimeError):
    """Code talks to another server while its transaction is open; the talk belongs before or after it."""


@dataclass
class _Transaction:
    is_open: bool = True


# A task that is started inside a transaction and outlives it inherits the mark, not an open transaction.
_open: ContextVar[tuple[_Transaction, ...]] = ContextVar("open_transactions", default=())


@contextmanager
def transaction_open() -> Iterator[None]:
    """Mark this task, and those that it starts, as inside a transaction for the length of the block."""
    mark = _Transaction()
    _open.set((*(other for other in _open.get() if other.is_open), mark))
    try:
        yield
    finally:
        mark.is_open = False


def outside_transactions(what: str) -> None:
    """Raise `NetworkInsideTransaction` when a transaction is open here; every network client asks first.

    `what` names the server that was about to be asked.
    """
    if any(mark.is_open for mark in _open.get()):
        raise NetworkInsideTransaction(f"{what} is asked while a transaction is open")

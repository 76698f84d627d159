"""Which failures pass by themselves, and which will come back however often one tries."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import aiohttp

E = TypeVar("E", bound=BaseException)

_PASSING: dict[type[BaseException], Callable[[Any], bool]] = {}


class TransientFault(Exception):
    """A dependency can't answer now; the same call may succeed later."""


def passes(kind: type[E], *, when: Callable[[E], bool] = lambda _: True) -> None:
    """Declare that errors of that kind pass by themselves, or those of them for which `when` says so.

    Whoever uses a library says so for its errors, so that no process loads a library only to know them.
    """
    _PASSING[kind] = when


def is_transient(error: BaseException) -> bool:
    """Tell whether trying the same again later can succeed without anyone changing anything."""
    return any(_PASSING[kind](error) for kind in type(error).__mro__ if kind in _PASSING)


for _kind in (TransientFault, aiohttp.ClientConnectionError, asyncio.TimeoutError, ConnectionError, OSError):
    passes(_kind)


def asked_to_stop() -> bool:
    """Tell whether somebody cancelled the running task; ask it on catching a CancelledError.

    A lost broker connection ends everything that waits for it with CancelledError as well, and a task that
    mistakes that for its own end dies in silence.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

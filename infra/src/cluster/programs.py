"""What a native process needs to be started, whoever starts it."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster.errors import ClusterError

# Each of our processes carries this variable, so that leftovers of a crashed run can be told from
# processes that belong to somebody else.
MARKER = "IRISVUE_CLUSTER_VAR"

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5


class NotReadyError(Exception):
    """A server does not answer yet; says what it answered instead."""


@dataclass(frozen=True)
class Program:
    """One long-running process."""

    name: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    account: str | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    stop_as_group: bool = True
    ports: Mapping[str, int] = field(default_factory=dict)


def configured(text: str) -> dict[str, str]:
    """Return a variable that changes with a configuration file, so that a new one restarts its program."""
    return {"IRISVUE_CONFIGURATION": hashlib.sha256(text.encode()).hexdigest()}


Check = Callable[[], Awaitable[None]]


async def until_ready(
    what: str, check: Check, *, seconds: float, still_alive: Callable[[], str | None] | None = None
) -> None:
    """Repeat `check` until it passes; ClusterError with the last answer after `seconds`.

    `still_alive` returns the reason when waiting on is pointless.
    """
    deadline = time.monotonic() + seconds
    pause = FIRST_PAUSE
    while True:
        try:
            await check()
        except NotReadyError as error:
            reason = still_alive() if still_alive else None
            if reason:
                raise ClusterError(f"{what} stopped: {reason}") from error
            if time.monotonic() > deadline:
                raise ClusterError(f"{what} was not ready after {seconds:.0f} s: {error}") from error
        else:
            return
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)

"""Closed-loop load: so many clients, each of which sends the next request when one is answered."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks import machine
from benchmarks.client import Answer, Connection


@dataclass(frozen=True)
class Load:
    """What a load has measured: requests per second, milliseconds of each, CPU milliseconds per request."""

    rate: float
    milliseconds: tuple[float, ...]
    cpu: float

    @property
    def p50(self) -> float:
        """The median time of a request, in milliseconds."""
        return median(self.milliseconds)

    @property
    def p99(self) -> float:
        """What one request in a hundred takes longer than, in milliseconds."""
        return sorted(self.milliseconds)[int(len(self.milliseconds) * 0.99)]


Step = Callable[[Connection], Awaitable[Answer | None]]
"""One request over the given connection; None when there is nothing left to ask for."""


async def closed_loop(url: str, step: Step, *, clients: int, seconds: float, ok: int = 200) -> Load:
    """Send requests from `clients` connections for `seconds`; raises RuntimeError for another answer."""
    took: list[float] = []
    before = machine.usage()
    until = before.at + seconds

    async def client() -> None:
        async with Connection(url) as connection:
            while time.monotonic() < until:
                began = time.perf_counter()
                answer = await step(connection)
                if answer is None:
                    return
                took.append((time.perf_counter() - began) * 1000)
                expect(answer, ok)

    await asyncio.gather(*(client() for _ in range(clients)))
    after = machine.usage()
    cpu = machine.served_seconds(before, after) * 1000 / max(1, len(took))
    return Load(len(took) / (after.at - before.at), tuple(took), cpu)


def repeating(requests: Iterator[bytes]) -> Step:
    """Send one after the other of `requests`, whichever connection is free."""

    async def step(connection: Connection) -> Answer | None:
        message = next(requests, None)
        return None if message is None else await connection.send(message)

    return step


def expect(answer: Answer, status: int) -> None:
    """Raise RuntimeError for another status: figures of refusals mean nothing."""
    if answer.status != status:
        raise RuntimeError(f"a request was answered {answer.status}, not {status}: {answer.body[:200]!r}")

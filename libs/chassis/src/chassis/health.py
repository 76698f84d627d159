"""Health: alive, ready, and each part by name."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from chassis.faults import asked_to_stop
from chassis.problems import NotFound, Problem, describe

CHECK_SECONDS = 1.0
OK, FAILING = "ok", "failing"
# The public name of each part, as the health answers spell it.
PARTS = {"db": "database", "redis": "redis", "broker": "broker", "storage": "storage"}

HealthCheck = Callable[[], Awaitable[str | None]]
"""Raises when a part does not answer; what it returns is told beside "ok"."""

log = structlog.get_logger(__name__)


class NotHealthy(Problem, status=503, title="Not ready"):
    """One or more parts do not answer."""

    detail = "A part of the service is not answering."
    headers: Mapping[str, str] = {"Retry-After": "5"}


async def run_check(name: str, check: HealthCheck) -> str:
    """Return "ok", with what the check has to tell, or "failing" for one part; the log says why."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            told = await check()
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and asked_to_stop():
            raise
        log.warning("health_check_failed", part=name, error=describe(error))
        return FAILING
    return f"{OK}: {told}" if told else OK


class Health:
    """What a process tells about itself; `checks` are the parts that it needs, by their short names.

    A process that `is_stopping` is not ready, whatever the checks say.
    """

    def __init__(
        self,
        version: str,
        checks: Mapping[str, HealthCheck],
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.checks = checks
        self._version = version
        self._is_stopping = is_stopping

    def serving(self) -> dict[str, str]:
        """Return that the process serves, and in which version."""
        return {"status": "healthy", "version": self._version}

    def alive(self) -> dict[str, str]:
        """Return that the process runs."""
        return {"status": "alive"}

    async def ready(self) -> dict[str, str]:
        """Return that every part answers; raises `NotHealthy`, naming those that do not."""
        refuse_while(self._is_stopping)
        states = await asyncio.gather(*(run_check(name, check) for name, check in self.checks.items()))
        parts = dict(zip(self.checks, states, strict=True))
        failing = [name for name, state in parts.items() if state == FAILING]
        if failing:
            raise NotHealthy(f"Not answering: {', '.join(failing)}.", extra=parts)
        return {"status": "ready", **parts}

    async def part(self, name: str) -> dict[str, str]:
        """Return that one part answers; raises `NotFound` or `NotHealthy`."""
        if name not in PARTS or name not in self.checks:
            raise NotFound("This process does not use that part.")
        if await run_check(name, self.checks[name]) == FAILING:
            raise NotHealthy(f"Not answering: {name}.")
        return {"status": "healthy", "service": PARTS[name]}


def refuse_while(is_stopping: Callable[[], bool]) -> None:
    """Raise `NotHealthy` in a process that has begun to end: whoever spreads requests goes elsewhere."""
    if is_stopping():
        raise NotHealthy("This process is stopping.")

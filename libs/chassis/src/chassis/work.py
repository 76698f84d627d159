"""What a service's worker does beside what every worker does: the declaration of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from chassis.faults import is_transient
from chassis.problems import describe
from chassis.process import Run

if TYPE_CHECKING:
    from chassis.handling import Consumer
    from chassis.health import HealthCheck

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Periodic:
    """Work that is done again and again; a passing fault waits for the next turn."""

    name: str
    seconds: float
    work: Callable[[], Awaitable[object]]

    async def run(self) -> None:
        """Do the work until cancelled."""
        while True:
            try:
                await self.work()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("periodic_work_postponed", work=self.name, error=describe(error))
            await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class Work:
    """What the worker of a service does beside what every worker does."""

    consumers: Sequence["Consumer"] = ()
    loops: Mapping[str, Run] = field(default_factory=dict)
    periodic: Sequence[Periodic] = ()
    checks: Mapping[str, "HealthCheck"] = field(default_factory=dict)

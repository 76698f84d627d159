"""How the platform is, as seen from its door: each part and each service, asked in parallel."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from chassis.faults import TransientFault
from chassis.health import PARTS, HealthCheck, NotHealthy, run_check
from chassis.problems import NotFound
from gateway.routes import Upstream
from gateway.upstreams import Upstreams

FRESH_SECONDS = 1.0
"""Asked more often, the same answer is given again: anyone may ask, and each question asks every service."""
_OK = 200

# Without Redis the gateway counts for itself, without RabbitMQ events wait in the outboxes: taking the
# platform out of service for them would turn a small fault into an outage.
_DISPENSABLE = frozenset({"redis", "broker"})


class PartUnwell(TransientFault):
    """A service says that it, or a part it needs, is not well."""


@dataclass(frozen=True)
class Report:
    """What was found: each part, and each service."""

    parts: Mapping[str, str]
    services: Mapping[str, str]

    @property
    def failing(self) -> list[str]:
        """Everything that does not answer."""
        found = {**self.parts, **{f"services.{name}": state for name, state in self.services.items()}}
        return [name for name, state in found.items() if state != "ok"]


class PlatformHealth:
    """Asks the parts and remembers the answers for a second."""

    def __init__(
        self,
        upstreams: Upstreams,
        workers: Sequence[str],
        *,
        redis: HealthCheck,
        revocations: HealthCheck,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstreams = upstreams
        self._apis = upstreams.urls
        self._workers = workers
        self._checks: dict[str, HealthCheck] = {
            "db": lambda: self._ask_all(self._apis.values(), "/health/db"),
            "redis": redis,
            "broker": lambda: self._ask_all(self._workers, "/health/broker"),
            "storage": lambda: self._ask(self._apis[Upstream.STORAGE], "/health/storage"),
        }
        self._revocations = revocations
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, asyncio.Task[str]]] = {}

    async def part(self, name: str) -> dict[str, str]:
        """Return that one part is healthy; raises NotFound or NotHealthy."""
        if name not in self._checks:
            raise NotFound
        if await self._state(name, self._checks[name]) != "ok":
            raise NotHealthy(f"Not answering: {name}.")
        return {"status": "healthy", "service": PARTS[name]}

    async def readiness(self) -> dict[str, Any]:
        """Return the state of everything; raises NotHealthy when the gateway can't do its own part.

        A service that is away takes its own routes with it. The gateway says so to who asks for them, and
        must not be taken out of service for it: the routes of the others would go, too.
        """
        return await self._told(ready_without=lambda name: name != "revocations")

    async def dependencies(self) -> dict[str, Any]:
        """Return the state of everything; raises NotHealthy when something indispensable fails."""
        return await self._told(ready_without=lambda name: name in _DISPENSABLE)

    async def _told(self, *, ready_without: Callable[[str], bool]) -> dict[str, Any]:
        report = await self._report()
        body = {**report.parts, "services": dict(report.services)}
        missing = [name for name in report.failing if not ready_without(name)]
        if missing:
            raise NotHealthy(f"Not answering: {', '.join(missing)}.", extra=body)
        return {"status": "ready", **body}

    async def _report(self) -> Report:
        parts = {**self._checks, "revocations": self._revocations}
        services: dict[str, HealthCheck] = {
            upstream.value: partial(self._ask, url, "/health/liveness")
            for upstream, url in self._apis.items()
        }
        names = [*parts, *services]
        states = await asyncio.gather(
            *(self._state(name, check) for name, check in [*parts.items(), *services.items()])
        )
        found = dict(zip(names, states, strict=True))
        return Report(
            parts={name: found[name] for name in parts}, services={name: found[name] for name in services}
        )

    async def _state(self, name: str, check: HealthCheck) -> str:
        asked_at, answer = self._known.get(name, (float("-inf"), None))
        now = self._monotonic()
        if answer is None or now - asked_at > FRESH_SECONDS:
            answer = asyncio.create_task(run_check(name, check))
            self._known[name] = (now, answer)
        return await asyncio.shield(answer)

    async def _ask_all(self, urls: Iterable[str], path: str) -> None:
        async with asyncio.TaskGroup() as group:
            for url in urls:
                group.create_task(self._ask(url, path))

    async def _ask(self, url: str, path: str) -> None:
        status = await self._upstreams.status(url + path)
        if status != _OK:
            raise PartUnwell(f"{url} answers {status}")

"""Health: alive, ready, and each part by name."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from fastapi import APIRouter

from chassis.faults import asked_to_stop
from chassis.openapi import example, problems
from chassis.problems import NotFound, Problem, describe

CHECK_SECONDS = 1.0
OK, FAILING = "ok", "failing"
# The public name of each part, as the health answers spell it.
PARTS = {"db": "database", "redis": "redis", "broker": "broker", "storage": "storage"}

HEALTHY = example({"status": "healthy", "version": "0.1.0"})
ALIVE = example({"status": "alive"})
WELL = example({"status": "healthy", "service": PARTS["db"]})

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


def refuse_while(is_stopping: Callable[[], bool]) -> None:
    """Raise `NotHealthy` in a process that has begun to end: whoever spreads requests goes elsewhere."""
    if is_stopping():
        raise NotHealthy("This process is stopping.")


def health_router(
    version: str, checks: Mapping[str, HealthCheck], is_stopping: Callable[[], bool] = lambda: False
) -> APIRouter:
    """Return the /health routes; `checks` are the parts this process needs, by their short names."""
    router = APIRouter(tags=["health"])
    ready = example({"status": "ready", **dict.fromkeys(checks, OK)})

    @router.get("/health", summary="Whether the process serves", responses=HEALTHY)
    async def health() -> dict[str, str]:
        return {"status": "healthy", "version": version}

    @router.get("/health/liveness", summary="Whether the process runs; asks nobody else", responses=ALIVE)
    async def liveness() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/health/readiness", summary="Whether every part that is needed answers", responses=ready)
    async def readiness() -> dict[str, Any]:
        refuse_while(is_stopping)
        states = await asyncio.gather(*(run_check(name, check) for name, check in checks.items()))
        parts = dict(zip(checks, states, strict=True))
        failing = [name for name, state in parts.items() if state == FAILING]
        if failing:
            raise NotHealthy(f"Not answering: {', '.join(failing)}.", extra=parts)
        return {"status": "ready", **parts}

    @router.get(
        "/health/{part}",
        summary="Whether one part answers: db, redis, broker or storage",
        responses=WELL | problems(NotFound),
    )
    async def part_health(part: str) -> dict[str, str]:
        if part not in PARTS or part not in checks:
            raise NotFound("This process does not use that part.")
        if await run_check(part, checks[part]) == FAILING:
            raise NotHealthy(f"Not answering: {part}.")
        return {"status": "healthy", "service": PARTS[part]}

    return router

"""The routes of health of an API, and how they are described."""

from typing import Any

from fastapi import APIRouter

from chassis.health import OK, PARTS, Health
from chassis.openapi import example, problems
from chassis.problems import NotFound

HEALTHY = example({"status": "healthy", "version": "0.1.0"})
ALIVE = example({"status": "alive"})
WELL = example({"status": "healthy", "service": PARTS["db"]})


def health_router(health: Health) -> APIRouter:
    """Return the /health routes of a process."""
    router = APIRouter(tags=["health"])
    ready = example({"status": "ready", **dict.fromkeys(health.checks, OK)})

    @router.get("/health", summary="Whether the process serves", responses=HEALTHY, name="health")
    async def serving() -> dict[str, str]:
        return health.serving()

    @router.get("/health/liveness", summary="Whether the process runs; asks nobody else", responses=ALIVE)
    async def liveness() -> dict[str, str]:
        return health.alive()

    @router.get("/health/readiness", summary="Whether every part that is needed answers", responses=ready)
    async def readiness() -> dict[str, Any]:
        return await health.ready()

    @router.get(
        "/health/{part}",
        summary="Whether one part answers: db, redis, broker or storage",
        responses=WELL | problems(NotFound),
    )
    async def part_health(part: str) -> dict[str, str]:
        return await health.part(part)

    return router

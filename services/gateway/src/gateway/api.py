"""The endpoints that the gateway answers itself: health and documentation."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

from gateway.wiring import Service


def health_routes(service: Service, version: str) -> APIRouter:
    """Return /health and what stands below it."""
    router = APIRouter(tags=["health"])

    @router.get("/health", summary="Whether the gateway serves")
    async def health() -> dict[str, str]:
        return {"status": "healthy", "version": version}

    @router.get("/health/liveness", summary="Whether the gateway runs; asks nobody else")
    async def liveness() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/health/readiness", summary="How every part and every service is")
    async def readiness() -> dict[str, Any]:
        return await service.vitals.readiness()

    @router.get("/health/{part}", summary="Whether one part answers: db, redis, broker or storage")
    async def part_health(part: str) -> dict[str, str]:
        return await service.vitals.part(part)

    return router


def own_routes(service: Service, app: FastAPI) -> APIRouter:
    """Return the documentation of the whole public API, as JSON and as a page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    async def openapi(request: Request) -> Response:
        await service.count_public(request.scope)
        return (await service.description.documents(app.openapi())).openapi.answer(request)

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        await service.count_public(request.scope)
        return (await service.description.documents(app.openapi())).page.answer(request)

    return router

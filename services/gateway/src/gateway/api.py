"""The endpoints that the gateway answers itself: health and documentation."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from chassis.health import OK, PARTS, refuse_while
from chassis.health_routes import ALIVE, HEALTHY, WELL
from chassis.openapi import example
from gateway.documents import served_documents
from gateway.routes import Upstream
from gateway.wiring import Service

_ALL_WELL = example(
    {
        "status": "ready",
        **dict.fromkeys([*PARTS, "revocations"], OK),
        "services": dict.fromkeys(map(str, Upstream), OK),
    }
)


def constant_answers(version: str) -> dict[str, dict[str, str]]:
    """Return what a gateway of that version says for as long as it runs, by path."""
    return {"/health": {"status": "healthy", "version": version}, "/health/liveness": {"status": "alive"}}


def health_routes(
    service: Service, version: str, is_stopping: Callable[[], bool] = lambda: False
) -> APIRouter:
    """Return /health and what stands below it."""
    router = APIRouter(tags=["health"])
    constant = constant_answers(version)

    @router.get("/health", summary="Whether the gateway serves", responses=HEALTHY, name="health")
    async def serving() -> dict[str, str]:
        """Answer without asking anybody, with the version that runs."""
        return constant["/health"]

    @router.get("/health/liveness", summary="Whether the gateway runs", responses=ALIVE)
    async def liveness() -> dict[str, str]:
        """Answer while the process runs."""
        return constant["/health/liveness"]

    @router.get("/health/readiness", summary="Whether the gateway can do its part", responses=_ALL_WELL)
    async def readiness() -> dict[str, Any]:
        """Tell of each part how it is; 503 when the gateway can't do its own work."""
        refuse_while(is_stopping)
        return await service.health.readiness()

    @router.get("/health/dependencies", summary="Whether everything needed answers", responses=_ALL_WELL)
    async def dependencies() -> dict[str, Any]:
        """Tell of each part how it is; 503 when one fails that the platform can't do without."""
        return await service.health.dependencies()

    @router.get("/health/{part}", summary="Whether db, redis, broker or storage answers", responses=WELL)
    async def part_health(part: str) -> dict[str, str]:
        """Ask one part through every service that needs it."""
        return await service.health.part(part)

    return router


def document_routes(service: Service) -> APIRouter:
    """Return the documentation of the public API and of the events, for programs and for people."""
    router = APIRouter(include_in_schema=False)
    documents = served_documents(service.public_url)

    @router.get("/")
    async def home() -> Response:
        return RedirectResponse("/docs", status_code=HTTPStatus.TEMPORARY_REDIRECT)

    async def document(request: Request) -> Response:
        await service.admission.count_public(request.scope)
        return documents[request.scope["path"]].answer(request)

    for path in documents:
        router.add_api_route(path, document, methods=["GET"])
    return router

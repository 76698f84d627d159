"""The route by which a service says what it holds of people; for the gateway, which asks for an officer."""

from typing import Any

from fastapi import APIRouter, Depends

from chassis.callers import require_service
from chassis.service_auth import GATEWAY

PATH = "/internal/data-map"


def data_map_router(document: dict[str, Any]) -> APIRouter:
    """Return the route that shows a service's data map."""
    router = APIRouter(include_in_schema=False)

    @router.get(PATH, dependencies=[Depends(require_service(GATEWAY))])
    async def data_map() -> dict[str, Any]:
        return document

    return router

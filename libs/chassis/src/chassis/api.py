"""The HTTP side of a service: one application factory, so that every service fails and reports alike."""

import re
from collections.abc import Callable, Mapping, Sequence

from fastapi import APIRouter, FastAPI

from chassis.callers import OnlyThroughGateway
from chassis.edge import Edge
from chassis.health import Health, HealthCheck
from chassis.health_routes import health_router
from chassis.openapi import document_problems, name_operation
from chassis.problem_handlers import install_problem_handlers
from chassis.settings import ServiceSettings


def create_app(
    settings: ServiceSettings,
    *,
    title: str,
    routers: Sequence[APIRouter],
    checks: Mapping[str, HealthCheck],
    unlimited_paths: Sequence[str] = (),
    is_stopping: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """Return an application with problems, request ids, logs, limits and health, behind the gateway.

    `unlimited_paths` are regular expressions of paths whose routes limit the body themselves. A process that
    `is_stopping` is not ready, whatever the checks say.
    """
    app = FastAPI(
        title=title,
        version=settings.version,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        generate_unique_id_function=name_operation,
    )
    install_problem_handlers(app)
    app.include_router(health_router(Health(settings.version, checks, is_stopping)))
    for router in routers:
        app.include_router(router)
    document_problems(app)
    app.add_middleware(OnlyThroughGateway)
    app.add_middleware(Edge, unlimited=[re.compile(pattern) for pattern in unlimited_paths])
    return app

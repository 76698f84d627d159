"""No request changes threads: what FastAPI finds to be synchronous it runs in a pool, one hop a call."""

from collections.abc import Iterator
from inspect import iscoroutinefunction
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from chassis.data_map_routes import data_map_router
from chassis.health import Health
from chassis.health_routes import health_router
from consent.main import CONSENT
from gateway.api import document_routes, health_routes
from gateway.data_map import data_map_route
from gateway.published_keys import published_keys_route
from identity.main import IDENTITY
from storage.main import STORAGE

GATEWAY = cast("Any", SimpleNamespace(public_url="https://api.irisvue.example"))
ROUTERS = {
    "chassis": lambda: [health_router(Health("1", {})), data_map_router({})],
    "consent": CONSENT.routers,
    "gateway": lambda: [
        health_routes(GATEWAY, "1"),
        document_routes(GATEWAY),
        published_keys_route(GATEWAY, GATEWAY),
        data_map_route(GATEWAY, GATEWAY),
    ],
    "identity": IDENTITY.routers,
    "storage": STORAGE.routers,
}


def calls_of(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for needed in dependant.dependencies:
        yield from calls_of(needed)


def is_asynchronous(call: Any) -> bool:
    # A security scheme is an object that is called.
    return iscoroutinefunction(call) or iscoroutinefunction(type(call).__call__)


def synchronous(routers: list[APIRouter]) -> set[str]:
    routes = [route for router in routers for route in router.routes]
    assert routes
    assert all(isinstance(route, APIRoute) for route in routes)
    return {
        f"{route.path}: {getattr(call, '__qualname__', call)}"
        for route in routes
        if isinstance(route, APIRoute)
        for call in calls_of(route.dependant)
        if not is_asynchronous(call)
    }


@pytest.mark.parametrize("part", ROUTERS)
def test_everything_that_a_request_calls_is_asynchronous(part: str) -> None:
    assert synchronous([*ROUTERS[part]()]) == set()

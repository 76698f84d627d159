"""The routing table and what the services say they answer are the same list."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.routes import ROUTES, Access, Upstream

SERVICES = Path(__file__).parents[3]
PUBLIC = ("/api/v1/", "/.well-known/")


def snapshot(upstream: Upstream) -> dict[str, Any]:
    path = SERVICES / upstream.value / "openapi.json"
    document: dict[str, Any] = json.loads(path.read_text())
    return document


@pytest.mark.parametrize("upstream", Upstream)
def test_table_forwards_exactly_the_public_operations_of_the_service(upstream: Upstream) -> None:
    offered = {
        (method.upper(), path): bool(operation.get("security"))
        for path, item in snapshot(upstream)["paths"].items()
        if path.startswith(PUBLIC)
        for method, operation in item.items()
    }
    forwarded = {
        (route.method, route.path): route.access is Access.BEARER
        for route in ROUTES
        if route.upstream is upstream
    }
    assert forwarded == offered

"""The routing table and what the services say they answer are the same list."""

import pytest

from api_description import committed
from gateway.routes import ROUTES, Access, Upstream

PUBLIC = ("/api/v1/", "/.well-known/")


@pytest.mark.parametrize("upstream", Upstream)
def test_table_forwards_exactly_the_public_operations_of_the_service(upstream: Upstream) -> None:
    offered = {
        (method.upper(), path): bool(operation.get("security"))
        for path, item in committed(upstream.value)["paths"].items()
        if path.startswith(PUBLIC)
        for method, operation in item.items()
    }
    forwarded = {
        (route.method, route.path): route.access is Access.BEARER
        for route in ROUTES
        if route.upstream is upstream
    }
    assert forwarded == offered

"""The routing table and what the services say they answer are the same list."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.documents import merge
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
        (method.upper(), path): "security" in operation
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


def test_merged_description_is_complete_and_resolves() -> None:
    own: dict[str, Any] = {"openapi": "3.1.0", "info": {"title": "IrisVue", "version": "0"}, "paths": {}}
    merged = merge(
        own, {upstream: snapshot(upstream) for upstream in Upstream}, ROUTES, public_url="http://x"
    )
    described = {(method.upper(), path) for path, item in merged["paths"].items() for method in item}
    assert described == {(route.method, route.path) for route in ROUTES}
    text = json.dumps(merged)
    for kind, entries in merged["components"].items():
        for name in entries:
            assert kind == "securitySchemes" or f"#/components/{kind}/{name}" in text
    references = {part.split('"')[0] for part in text.split("#/components/")[1:]}
    for reference in references:
        kind, name = reference.split("/")
        assert name in merged["components"][kind]
    assert "/internal" not in text

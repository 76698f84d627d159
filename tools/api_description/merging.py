"""One document of everything that the door lets through, made of what the services say themselves."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.routes import Access, Route, Upstream

_REFERENCE = "#/components/"

Document = dict[str, Any]


def merge(own: Document, documents: Mapping[Upstream, Document], routes: Iterable[Route]) -> Document:
    """Return `own` with the operations of `routes`, and the components of all."""
    merged: Document = {
        "openapi": own["openapi"],
        "info": own["info"],
        "paths": {path: dict(item) for path, item in own.get("paths", {}).items()},
    }
    available: Document = {"schemas": dict(own.get("components", {}).get("schemas", {}))}
    renamed = {upstream: _adopt(available, upstream, document) for upstream, document in documents.items()}
    for route in routes:
        path, operation = _operation(renamed.get(route.upstream, {}), route)
        if operation is not None:
            merged["paths"].setdefault(path, {})[route.method.lower()] = _secured(operation, route)
    merged["components"] = {
        **available,
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
    }
    return merged


def shape(path: str) -> str:
    """Return `path` with its parameters' names left out, which are nobody's contract."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def _operation(document: Document, route: Route) -> tuple[str, Document | None]:
    for path, item in document.get("paths", {}).items():
        if shape(path) == shape(route.path) and route.method.lower() in item:
            return path, item[route.method.lower()]
    return route.path, None


def _secured(operation: Document, route: Route) -> Document:
    rest = {key: value for key, value in operation.items() if key != "security"}
    return {**rest, "security": [{"bearer": []}] if route.access is Access.BEARER else []}


def _adopt(available: Document, upstream: Upstream, document: Document) -> Document:
    """Add the document's components to `available`; return it with the names they got there."""
    renames: dict[str, str] = {}
    components = document.get("components", {})
    for kind, entries in components.items():
        taken = available.setdefault(kind, {})
        for name, entry in entries.items():
            if name in taken and taken[name] != entry:
                renames[f"{_REFERENCE}{kind}/{name}"] = f"{_REFERENCE}{kind}/{upstream.value.title()}{name}"
    adopted: Document = _with_references(document, renames)
    for kind, entries in adopted.get("components", {}).items():
        for name, entry in entries.items():
            target = renames.get(f"{_REFERENCE}{kind}/{name}", f"{_REFERENCE}{kind}/{name}").rsplit("/", 1)[1]
            available[kind][target] = entry
    return adopted


def _with_references(node: Any, renames: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {
            key: renames.get(value, value)
            if key == "$ref" and isinstance(value, str)
            else _with_references(value, renames)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_with_references(item, renames) for item in node]
    return node


def without_unused(document: Document) -> Document:
    """Return `document` with those components only that its paths use, directly or through others."""
    available = document["components"]
    used: Document = {}
    waiting = list(_references(document["paths"]))
    while waiting:
        kind, name = waiting.pop().removeprefix(_REFERENCE).split("/", 1)
        if name in used.get(kind, {}) or name not in available.get(kind, {}):
            continue
        used.setdefault(kind, {})[name] = available[kind][name]
        waiting.extend(_references(available[kind][name]))
    return {**document, "components": {**used, "securitySchemes": available["securitySchemes"]}}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str) and value.startswith(_REFERENCE):
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)

"""One OpenAPI document of everything that the door lets through, made of what the services say themselves."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog

from chassis.problems import describe
from gateway.kept import KeptDocument
from gateway.page import CONTENT_SECURITY_POLICY, render
from gateway.routes import Access, Route, Upstream
from gateway.upstreams import Upstreams

FRESH_SECONDS = 60.0
FETCH_SECONDS = 3.0
_REFERENCE = "#/components/"
_DESCRIPTION = (
    "Everything the app can ask, through one address. Errors are problem documents (RFC 9457) that carry "
    "`detail` as a string; times are RFC 3339 in UTC."
)

Document = dict[str, Any]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Documents:
    """The description as JSON and as a page."""

    openapi: KeptDocument
    page: KeptDocument


def _rendered(document: Document) -> Documents:
    return Documents(
        KeptDocument(json.dumps(document, separators=(",", ":")).encode(), "application/json"),
        KeptDocument(
            render(document).encode(), "text/html", {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
        ),
    )


class Description:
    """Fetches the services' documents when someone asks, and keeps the merged one for a minute."""

    def __init__(
        self,
        upstreams: Upstreams,
        routes: Iterable[Route],
        *,
        public_url: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstreams = upstreams
        self._routes = tuple(routes)
        self._public_url = public_url
        self._monotonic = monotonic
        self._kept: Documents | None = None
        self._fetched_at = float("-inf")
        self._lock = asyncio.Lock()

    async def documents(self, own: Document) -> Documents:
        """Return the documents; a service that does not answer is missing from them until it does."""
        async with self._lock:
            if self._kept is None or self._monotonic() - self._fetched_at > FRESH_SECONDS:
                found = await asyncio.gather(*(self._fetch(upstream) for upstream in Upstream))
                documents = {
                    upstream: document for upstream, document in zip(Upstream, found, strict=True) if document
                }
                kept = _rendered(merge(own, documents, self._routes, public_url=self._public_url))
                if len(documents) < len(Upstream):
                    return kept
                self._kept, self._fetched_at = kept, self._monotonic()
            return self._kept

    async def _fetch(self, upstream: Upstream) -> Document | None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                document: Document = await self._upstreams.get_json(upstream, "/openapi.json")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.warning("description_not_fetched", upstream=upstream.value, error=describe(error))
            return None
        return document


def merge(
    own: Document, documents: Mapping[Upstream, Document], routes: Iterable[Route], *, public_url: str
) -> Document:
    """Return `own` with the operations of `routes`, and of the services' components only what these use."""
    merged: Document = {
        "openapi": own["openapi"],
        "info": {**own["info"], "description": _DESCRIPTION},
        "servers": [{"url": public_url}],
        "paths": {path: dict(item) for path, item in own.get("paths", {}).items()},
    }
    available: Document = {"schemas": dict(own.get("components", {}).get("schemas", {}))}
    renamed = {upstream: _adopt(available, upstream, document) for upstream, document in documents.items()}
    for route in routes:
        path, operation = _operation(renamed.get(route.upstream, {}), route)
        if operation is not None:
            merged["paths"].setdefault(path, {})[route.method.lower()] = _secured(operation, route)
    merged["components"] = {
        **_reachable(merged["paths"], available),
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
    return {**rest, "security": [{"bearer": []}]} if route.access is Access.BEARER else rest


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


def _reachable(paths: Document, available: Document) -> Document:
    """Return the components that the paths use, directly or through others."""
    used: Document = {}
    waiting = list(_references(paths))
    while waiting:
        kind, name = waiting.pop().removeprefix(_REFERENCE).split("/", 1)
        if name in used.get(kind, {}) or name not in available.get(kind, {}):
            continue
        used.setdefault(kind, {})[name] = available[kind][name]
        waiting.extend(_references(available[kind][name]))
    return {kind: dict(sorted(entries.items())) for kind, entries in sorted(used.items())}


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

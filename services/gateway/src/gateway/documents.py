"""What the gateway hands out about the platform: descriptions for programs, and a viewer for people.

All of it is made at build time and lies beside this file; the viewer is Swagger UI as its makers publish it,
held against checksums, and loads nothing from elsewhere.
"""

import json
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from contracts.asyncapi import asyncapi_document
from gateway.events_page import render
from gateway.kept import KeptDocument

VIEWER = files("gateway") / "viewer"
OPENAPI = files("gateway") / "openapi.json"
_POLICY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
_JSON, _PAGE, _SCRIPT, _STYLE = "application/json", "text/html", "text/javascript", "text/css"
_VIEWER_FILES = {
    "start.js": _SCRIPT,
    "page.css": _STYLE,
    "swagger-ui-bundle.js": _SCRIPT,
    "swagger-ui.css": _STYLE,
}


def served_documents(public_url: str) -> Mapping[str, KeptDocument]:
    """Return every document by its path; the description names `public_url` as the server."""
    events = asyncapi_document()
    return {
        "/openapi.json": KeptDocument(_openapi(public_url), _JSON),
        "/docs": KeptDocument(_read(VIEWER / "docs.html"), _PAGE, _POLICY),
        "/asyncapi": KeptDocument(render(json.loads(events)).encode(), _PAGE, _POLICY),
        "/asyncapi.json": KeptDocument(events.encode(), _JSON),
        **{
            f"/docs/{name}": KeptDocument(_read(VIEWER / name), media_type)
            for name, media_type in _VIEWER_FILES.items()
        },
    }


def _openapi(public_url: str) -> bytes:
    document = json.loads(_read(OPENAPI))
    document["servers"] = [{"url": public_url}]
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _read(file: Traversable) -> bytes:
    return file.read_bytes()

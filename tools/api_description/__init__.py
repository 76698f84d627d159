"""The description of the whole public API, made of what the services commit; `make openapi` writes it."""

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from api_description.completion import complete
from api_description.merging import merge, without_unused
from gateway.routes import ROUTES, Upstream

SERVICES = Path(__file__).parents[2] / "services"
FILE = SERVICES / "gateway" / "src" / "gateway" / "openapi.json"
"""What is committed, and what the gateway serves."""


def committed(service: str) -> dict[str, Any]:
    """Return what a service commits about itself."""
    document: dict[str, Any] = json.loads((SERVICES / service / "openapi.json").read_text())
    return document


def described(own: FastAPI) -> str:
    """Return the whole description: the gateway's `own` operations, and what each service commits."""
    documents = {upstream: committed(upstream.value) for upstream in Upstream}
    document = without_unused(complete(merge(own.openapi(), documents, ROUTES), ROUTES))
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"

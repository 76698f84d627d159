"""The description of the whole public API, made at build time of what the services commit."""

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from gateway.description.completion import complete
from gateway.description.merging import merge, without_unused
from gateway.routes import ROUTES, Upstream

FILE = Path(__file__).parents[1] / "openapi.json"
"""What is committed and served; `make openapi` writes it."""


def described(app: FastAPI, services: Path) -> str:
    """Return the whole description: the operations of `app`, and what each service in `services` commits."""
    committed: dict[Upstream, dict[str, Any]] = {
        upstream: json.loads((services / upstream.value / "openapi.json").read_text())
        for upstream in Upstream
    }
    document = without_unused(complete(merge(app.openapi(), committed, ROUTES), ROUTES))
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"

"""The description of the whole public API, made of what the services commit; `make openapi` writes it."""

import json
from pathlib import Path
from typing import Any

from api_description.completion import complete
from api_description.merging import merge, without_unused
from cluster.secret_values import signing_key
from gateway.main import own_endpoints
from gateway.routes import ROUTES, Upstream
from gateway.settings import GatewaySettings
from gateway.wiring import Service

SERVICES = Path(__file__).parents[2] / "services"
FILE = SERVICES / "gateway" / "src" / "gateway" / "openapi.json"
"""What is committed, and what the gateway serves."""


def committed(service: str) -> dict[str, Any]:
    """Return what a service commits about itself."""
    document: dict[str, Any] = json.loads((SERVICES / service / "openapi.json").read_text())
    return document


def described() -> str:
    """Return the whole description: the gateway's own operations, and what each service commits."""
    settings = GatewaySettings.model_validate(
        {
            "service_key": signing_key(),
            "service_public_keys": {},
            "redis_url": "redis://127.0.0.1:1/0",
            "worker_urls": (),
            **{f"{upstream}_url": f"http://{upstream}" for upstream in Upstream},
        }
    )
    own = own_endpoints(settings, Service(settings)).openapi()
    documents = {upstream: committed(upstream.value) for upstream in Upstream}
    document = without_unused(complete(merge(own, documents, ROUTES), ROUTES))
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"

"""Whoever sends a value that nobody knows is told the known ones, wherever the API has a list of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient

from chassis.callers import current_principal
from chassis.ids import new_id
from chassis.service_auth import ServiceTokens
from consent.main import CONSENT
from consent.settings import ConsentSettings
from identity.api.dependencies import freshly_signed_in, signed_in
from identity.main import IDENTITY
from identity.settings import IdentitySettings
from storage.main import STORAGE
from storage.settings import StorageSettings
from support.gateway import through_gateway

SERVICES = {
    "identity": (IdentitySettings, IDENTITY.create_api),
    "consent": (ConsentSettings, CONSENT.create_api),
    "storage": (StorageSettings, STORAGE.create_api),
}
UNKNOWN = "nobody-knows-this"
# The protocol says itself how another version is answered: with 412 and Tus-Version (tus 1.0.0, core).
THEIR_PROTOCOLS = "Tus-Resumable"


def lists_in(document: dict[str, Any], schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[Any]:
    """Find the fields of a schema that take one of a list of values, with those values."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    known = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if known:
        yield path, [json.dumps(value).strip('"') for value in known]
    for name, field in schema.get("properties", {}).items():
        yield from lists_in(document, field, (*path, name))
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from lists_in(document, choice, path)


def lists_of(service: str) -> Iterator[Any]:
    """Find every input of a service's public operations that takes one of a list of values."""
    file = Path(__file__).parents[2] / "services" / service / "openapi.json"
    document = json.loads(file.read_text())
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if not path.startswith("/api/"):
                continue
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == THEIR_PROTOCOLS:
                    continue
                for _, known in lists_in(document, parameter["schema"]):
                    yield method, path, parameter["in"], (parameter["name"],), known
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for names, known in lists_in(document, body.get("schema", {})):
                yield method, path, "body", names, known


INPUTS = [
    pytest.param(service, *found, id=f"{found[0]}-{found[1]}-{found[2]}-{'.'.join(found[3])}")
    for service in SERVICES
    for found in lists_of(service)
]


def test_every_list_that_the_documents_have_is_looked_at() -> None:
    found = {parameter.id for parameter in INPUTS}
    assert found >= {
        "post-/api/v1/auth/passkeys/registration/verify-body-type",
        "post-/api/v1/privacy/consent-body-consent_type",
        "get-/api/v1/privacy/consent-texts/{jurisdiction}/{consent_type}-path-consent_type",
        "get-/api/v1/photos-query-include",
        "post-/api/v1/photos/upload-query-content_type",
        "post-/api/v1/photos/upload-body-content_type",
    }


@pytest.mark.parametrize(("service", "method", "path", "place", "names", "known"), INPUTS)
async def test_an_unknown_value_is_answered_with_the_known_ones(
    platform, service, method, path, place, names, known
) -> None:
    settings_class, create_api = SERVICES[service]
    with platform.variables_of(service):
        settings = settings_class()
    app = create_api(settings)
    app.state.service_tokens = ServiceTokens.of(service, settings)
    # Nothing else is there: the input is refused before anything is done with it.
    app.state.service = app.state.idempotency = object()
    for who in (current_principal, signed_in, freshly_signed_in):
        app.dependency_overrides[who] = lambda: None
    body: Any = UNKNOWN
    for name in reversed(names):
        body = {name: body}
    target = path.replace(f"{{{names[0]}}}", UNKNOWN).replace("{jurisdiction}", "gdpr")
    target = target.replace("{photo_id}", str(new_id()))
    async with AsyncClient(
        transport=ASGITransport(app),
        base_url="http://service",
        event_hooks=through_gateway(platform.gateway_proof(service)),
    ) as anybody:
        answer = await anybody.request(
            method,
            target,
            params={names[0]: UNKNOWN} if place == "query" else None,
            json=body if place == "body" else None,
        )
    assert answer.status_code == 422, answer.text
    told = {complaint["field"]: complaint["message"] for complaint in answer.json()["errors"]}
    assert all(value in told[".".join(names)] for value in known), told
    assert UNKNOWN not in answer.text

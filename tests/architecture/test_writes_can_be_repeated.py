"""Every operation that changes something takes an Idempotency-Key, or a reason stands here why not."""

import json
from pathlib import Path
from typing import Any

import pytest

from cluster.members import DATABASE_SERVICES

ROOT = Path(__file__).resolve().parents[2]
WRITING = ("post", "put", "patch", "delete")
WITHOUT_A_KEY = {
    # The link works once by itself, and no transaction may be open while bytes arrive.
    "PUT /api/v1/photos/{photo_id}/content",
    # tus: an upload begun twice costs a row that expires, a piece sent twice is refused by its offset.
    "POST /api/v1/photos/uploads",
    "PATCH /api/v1/photos/uploads/{photo_id}",
    "DELETE /api/v1/photos/uploads/{photo_id}",
}


def operations(service: str) -> dict[str, dict[str, Any]]:
    document = json.loads((ROOT / "services" / service / "openapi.json").read_text())
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in WRITING
    }


def takes_a_key(operation: dict[str, Any]) -> bool:
    return "Idempotency-Key" in {parameter["name"] for parameter in operation.get("parameters", ())}


@pytest.mark.parametrize("service", DATABASE_SERVICES)
def test_operation_that_changes_something_takes_a_key(service: str) -> None:
    found = operations(service)

    assert found
    assert {name for name, operation in found.items() if not takes_a_key(operation)} <= WITHOUT_A_KEY


def test_every_exception_is_one() -> None:
    without = {name for name, operation in operations("storage").items() if not takes_a_key(operation)}

    assert without == WITHOUT_A_KEY

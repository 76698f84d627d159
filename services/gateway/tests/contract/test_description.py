"""The description of the whole API: what is committed is what the door lets through, whole and by itself."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from api_description import FILE, committed, described
from chassis.problems import PROBLEM_JSON
from gateway.documents import VIEWER
from gateway.routes import ROUTES, Access, Upstream


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def test_the_whole_api_is_the_committed_one() -> None:
    assert FILE.read_text() == described(), "the API differs from gateway/openapi.json: run `make openapi`"


def test_description_is_complete_and_resolves(document: dict[str, Any]) -> None:
    described_places = {(method, path) for method, path, _ in operations(document)}
    assert described_places - {place for place in described_places if place[1].startswith("/health")} == {
        (route.method, route.path) for route in ROUTES
    }
    named = set(references(document))
    for reference in named:
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in document["components"][kind]
    for kind, entries in document["components"].items():
        for name in entries:
            assert kind == "securitySchemes" or f"#/components/{kind}/{name}" in named
    assert "/internal" not in json.dumps(document)


def test_every_operation_tells_what_the_door_answers(document: dict[str, Any]) -> None:
    access = {(route.method, route.path): route.access for route in ROUTES}
    for method, path, operation in operations(document):
        responses = operation["responses"]
        assert all("X-Request-ID" in response["headers"] for response in responses.values())
        if (method, path) not in access:
            continue
        assert {"400", "429", "502", "503", "504"} <= responses.keys(), path
        assert operation["security"] == ([{"bearer": []}] if access[method, path] is Access.BEARER else [])
        assert all(
            {"RateLimit", "RateLimit-Policy"} <= response["headers"].keys() for response in responses.values()
        )
        for status in ("429", "503"):
            assert "Retry-After" in responses[status]["headers"]
    assert {"200", "404", "503"} == set(document["paths"]["/health/{part}"]["get"]["responses"])


def test_every_operation_has_a_name_of_its_own_and_a_tag_that_is_explained(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    explained = {tag["name"] for tag in document["tags"] if tag["description"]}
    for _, path, operation in operations(document):
        assert set(operation["tags"]) <= explained, path
        assert operation["description"], path


@pytest.mark.parametrize("owner", ["gateway", *Upstream])
def test_every_operation_says_what_it_is_for_who_may_ask_and_shows_an_example(owner: str) -> None:
    whole = json.loads(FILE.read_text()) if owner == "gateway" else committed(owner)
    for _, path, operation in operations(whole):
        made_of_the_function = operation["operationId"].replace("_", " ").title()
        assert operation["summary"] != made_of_the_function, path
        assert "security" in operation, path
        contents = [operation.get("requestBody", {}).get("content", {})]
        contents += [
            answer.get("content", {})
            for status, answer in operation["responses"].items()
            if status.startswith("2")
        ]
        for media in (media for content in contents for media in content.values()):
            assert media["example"], path


def test_every_kind_of_problem_that_is_described_is_in_the_list_of_types(document: dict[str, Any]) -> None:
    types = set(document["components"]["schemas"]["ProblemDocument"]["properties"]["type"]["enum"])
    for _, path, operation in operations(document):
        for response in operation["responses"].values():
            if PROBLEM_JSON in response.get("content", {}):
                slugs = re.findall(r"\(`([a-z0-9-]+)`\)", response["description"])
                assert slugs, path
                assert {f"urn:irisvue:problem:{slug}" for slug in slugs} <= types


def test_every_example_is_what_its_schema_asks_for(document: dict[str, Any]) -> None:
    checked = 0
    for _, _, operation in operations(document):
        contents = [operation.get("requestBody", {}).get("content", {})]
        contents += [response.get("content", {}) for response in operation["responses"].values()]
        for media_type, media in ((kind, media) for content in contents for kind, media in content.items()):
            if "json" in media_type or "urlencoded" in media_type:
                schema = {**media["schema"], "components": document["components"]}
                jsonschema.validate(media["example"], schema)
                checked += 1
        for parameter in operation.get("parameters", ()):
            jsonschema.validate(
                parameter["example"], {**parameter["schema"], "components": document["components"]}
            )
    assert checked > 200


def test_viewer_is_what_its_makers_published() -> None:
    lines = (VIEWER / "SHA256SUMS").read_text().splitlines()
    vendored = [line.split() for line in lines if not line.startswith("#")]
    assert len(vendored) == 5
    for digest, name in vendored:
        assert hashlib.sha256((VIEWER / name).read_bytes()).hexdigest() == digest, name

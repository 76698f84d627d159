"""The frozen promise beside the code: one JSON Schema per type and golden examples, in files under review.

Invariant: a schema file changes only by additions; `write` refuses anything else.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from contracts.catalogue import EVENTS
from contracts.envelope import EVERY_SERVICE, Event, envelope_of, schema_urn
from event_schemas.compatibility import breaking_changes

LIBRARY = Path(__file__).parents[2] / "libs" / "contracts"

Schema = dict[str, Any]


@dataclass(frozen=True)
class Example:
    """A golden message: the type, a name that says what is special about it, and the body as it travels."""

    type: str
    name: str
    body: bytes


class _WithoutFieldTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # Every title repeats its field.
        return False


def schema_of(event: type[Event]) -> Schema:
    """Generate the JSON Schema (2020-12) of the whole envelope of an event."""
    generated = envelope_of(event).model_json_schema(schema_generator=_WithoutFieldTitles)
    definitions = generated.pop("$defs")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": schema_urn(event.type),
        **generated,
        **({"deprecated": True} if event.deprecated else {}),
        "$defs": definitions,
    }


def text_of(schema: Schema) -> str:
    """Render a schema as its file stores it."""
    return json.dumps(schema, indent=2) + "\n"


def file_name(event_type: str) -> str:
    """Name what belongs to a type in files; one for all services where each has a type of its own."""
    listed = next((event.type for event in EVENTS if event.of_type(event_type) is not None), event_type)
    return listed.removeprefix(f"{EVERY_SERVICE}.")


def schema_path(event_type: str, library: Path = LIBRARY) -> Path:
    """Name the file of a type's frozen schema."""
    return library / "schemas" / f"{file_name(event_type)}.json"


def frozen_schema(event_type: str, library: Path = LIBRARY) -> Schema:
    """Read the frozen schema of a type; raises FileNotFoundError that names the command."""
    path = schema_path(event_type, library)
    if not path.is_file():
        raise FileNotFoundError(f"{event_type} has no frozen schema: run `make schemas`")
    schema: Schema = json.loads(path.read_text())
    return schema


def frozen_schemas(library: Path = LIBRARY) -> dict[str, Schema]:
    """Read the frozen schemas there are, by type."""
    paths = ((event.type, schema_path(event.type, library)) for event in EVENTS)
    return {event_type: frozen_schema(event_type, library) for event_type, path in paths if path.is_file()}


def examples_of(event_type: str, library: Path = LIBRARY) -> tuple[Example, ...]:
    """Read the golden examples of a type, in the order of their names."""
    paths = sorted((library / "examples" / file_name(event_type)).glob("*.json"))
    return tuple(Example(event_type, path.stem, path.read_bytes()) for path in paths)


def breaks(old: Schema, event: type[Event]) -> list[str]:
    """Say how an event breaks the promise of an older schema of its type."""
    return [f"{event.type}: {change}" for change in breaking_changes(old, schema_of(event))]


def write(library: Path = LIBRARY) -> list[str]:
    """Freeze the schemas of all events. Returns what would break; then nothing is written."""
    promised = frozen_schemas(library)
    known = [event for event in EVENTS if event.type in promised]
    broken = [change for event in known for change in breaks(promised[event.type], event)]
    if broken:
        return broken
    (library / "schemas").mkdir(exist_ok=True)
    for event in EVENTS:
        schema_path(event.type, library).write_text(text_of(schema_of(event)))
    return []


def drift(library: Path = LIBRARY) -> list[str]:
    """Say where the files and the models differ."""
    expected = {schema_path(event.type, library): text_of(schema_of(event)) for event in EVENTS}
    complaints = []
    for path, text in expected.items():
        if not path.is_file():
            complaints.append(f"schemas/{path.name} is missing")
        elif path.read_text() != text:
            complaints.append(f"schemas/{path.name} is not what the model says")
    strangers = set((library / "schemas").glob("*")) - set(expected)
    complaints += [f"schemas/{path.name} belongs to no event: delete it" for path in sorted(strangers)]
    return complaints

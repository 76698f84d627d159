"""What may change in a published schema: optional fields may be added, nothing else.

Both sides are protected. A narrower schema refuses messages that are on their way; a wider one lets producers
say what yesterday's consumers don't understand. Either is a new version of the type.

A schema is taken apart into facts (where, what, value). Those of fields that are new and optional are pruned;
then the facts of both schemas have to be the same.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
Facts = Counter[tuple[str, str, str]]

_PROSE = frozenset({"$schema", "$id", "$defs", "title", "description", "examples", "$comment", "deprecated"})
_REQUIRED = "required"


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Say, one sentence each, what in `new` is more than an added optional field; empty when nothing is."""
    before, after = Counter(_facts("", old, old)), Counter(_facts("", new, new))
    known, declared = _fields(before), _fields(after)
    removed, added = known.keys() - declared.keys(), declared.keys() - known.keys()
    required = {path for path in added if declared[path]}
    lost, gained = _values(before - after, removed), _values(after - before, added)
    return [
        *(f"{path} was removed" for path in sorted(removed) if not _is_below(path, removed)),
        *(f"{path} is new and required" for path in sorted(required) if not _is_below(path, added)),
        *(
            f"{path or 'the envelope'}: {what} changed"
            f" from {lost.get((path, what), 'nothing')} to {gained.get((path, what), 'nothing')}"
            for path, what in sorted(lost.keys() | gained.keys())
        ),
    ]


def _facts(path: str, schema: Schema, root: Schema) -> Iterator[tuple[str, str, str]]:
    """Yield what a schema says, with definitions in the place of the references to them."""
    if not schema:
        yield path, "anything", "allowed"
    if "$ref" in schema:
        yield from _facts(path, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    for name in schema.get("properties", {}):
        yield _field(path, name), _REQUIRED, repr(name in schema.get(_REQUIRED, ()))
    for keyword, value in schema.items():
        if keyword in _PROSE or keyword in {"$ref", _REQUIRED}:
            continue
        parts = _parts(path, keyword, value)
        for place, part in parts:
            yield from _facts(place, part, root)
        if keyword in {"enum", "const"}:
            yield from ((path, "choice", repr(one)) for one in (value if keyword == "enum" else [value]))
        elif not parts:
            yield path, keyword, repr(value)


def _parts(path: str, keyword: str, value: Any) -> list[tuple[str, Schema]]:
    """Return the schemas that a keyword holds, with their places."""
    if keyword in {"anyOf", "oneOf"}:
        return [(path, form) for form in value]
    if not isinstance(value, dict):
        return []
    if keyword == "properties":
        return [(_field(path, name), field) for name, field in value.items()]
    if keyword == "patternProperties":
        return [(f"{path}.<{pattern}>", field) for pattern, field in value.items()]
    return [(f"{path}[]" if keyword == "items" else f"{path}.<{keyword}>", value)]


def _field(path: str, name: str) -> str:
    return f"{path}.{name}".strip(".")


def _fields(facts: Facts) -> dict[str, bool]:
    """Return whether each declared field is required, by its path."""
    return {path: value == "True" for path, what, value in facts if what == _REQUIRED}


def _values(facts: Facts, without: set[str]) -> dict[tuple[str, str], str]:
    """Return the values of facts as text, by place and meaning; those of some fields are left out."""
    found: dict[tuple[str, str], str] = {}
    for path, what, value in facts.elements():
        if path not in without and not _is_below(path, without):
            found[path, what] = f"{found[path, what]}, {value}" if (path, what) in found else value
    return found


def _is_below(path: str, fields: set[str]) -> bool:
    return any(path.startswith((f"{field}.", f"{field}[")) for field in fields)

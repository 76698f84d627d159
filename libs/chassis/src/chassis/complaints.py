"""What a refusal of invalid input may say: names that our own models declare, and rules, never the input."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

# Stands for a name that the client made up.
UNKNOWN = "*"

# Reading a declaration costs more than answering, and whoever sends rubbish sends a lot of it.
_DECLARED: WeakKeyDictionary[Callable[..., Any], frozenset[str]] = WeakKeyDictionary()

_CONCEALED = "Value"
_FIXED_MESSAGES = {
    "json_invalid": "The body is not valid JSON.",
    "extra_forbidden": "There is a field that this operation does not take.",
    "enum": "This value is not known here.",
    "literal_error": "This value is not known here.",
    "union_tag_invalid": "This value is not known here.",
}


def complaints_without_input(error: RequestValidationError, declared: frozenset[str]) -> list[dict[str, str]]:
    """Return `{"field": …, "message": …}` for each fault; what a client calls its fields is its input too."""
    return [{"field": _field(found, declared), "message": _message(found)} for found in error.errors()]


def declared_names(route: APIRoute | None) -> frozenset[str]:
    """Return the names of every parameter and field that the route's declaration contains."""
    if route is None:
        return frozenset()
    if route.endpoint not in _DECLARED:
        _DECLARED[route.endpoint] = frozenset(_names(route))
    return _DECLARED[route.endpoint]


def _names(route: APIRoute) -> Iterator[str]:
    parameters = get_flat_params(route.dependant)
    yield from (field.alias for field in parameters)
    for field in [*parameters, *([route.body_field] if route.body_field else [])]:
        annotation: Any = field.field_info.annotation
        yield from _properties(TypeAdapter(annotation).json_schema())


def _properties(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        yield from schema.get("properties", ())
    parts = schema.values() if isinstance(schema, Mapping) else schema
    for part in parts:
        if isinstance(part, Mapping | list):
            yield from _properties(part)


def _field(found: Mapping[str, Any], declared: frozenset[str]) -> str:
    if found["type"] == "json_invalid":
        # Its place is a position in the text.
        return ""
    # The first part says where the input stood: body, query, path, header or cookie.
    return ".".join(
        str(part) if isinstance(part, int) or part in declared else UNKNOWN for part in found["loc"][1:]
    )


def _message(found: Mapping[str, Any]) -> str:
    if found["type"] in _FIXED_MESSAGES:
        return _FIXED_MESSAGES[found["type"]]
    message = str(found["msg"]).removeprefix("Value error, ")
    context = found.get("ctx", {})
    if context.get("field_type") == _CONCEALED:
        # The library counts the letters of a concealed text as items.
        least = found["type"] == "too_short"
        bound = f"at least {context['min_length']}" if least else f"at most {context['max_length']}"
        return f"This needs {bound} characters."
    if isinstance(context.get("error"), str) or "reason" in context:
        # A parser says after the first mark which letter of the input it stumbled over.
        return re.split("[,:]", message)[0]
    return message

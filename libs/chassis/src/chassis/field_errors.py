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
# What the library says of a fault, in words for a person; `{…}` are limits that our own models declare.
_MESSAGES = {
    "json_invalid": "The body is not valid JSON.",
    "missing": "This is required.",
    "extra_forbidden": "There is a field that this operation does not take.",
    "union_tag_invalid": "This value is not known here.",
    "string_type": "This must be text.",
    "string_too_short": "This needs at least {min_length} characters.",
    "string_too_long": "This needs at most {max_length} characters.",
    "string_pattern_mismatch": "This does not have the form that is described.",
    "too_short": "This needs at least {min_length} entries.",
    "too_long": "This needs at most {max_length} entries.",
    "bool_type": "This must be true or false.",
    "bool_parsing": "This must be true or false.",
    "int_type": "This must be a whole number.",
    "int_parsing": "This must be a whole number.",
    "int_from_float": "This must be a whole number.",
    "float_type": "This must be a number.",
    "float_parsing": "This must be a number.",
    "greater_than": "This must be greater than {gt}.",
    "greater_than_equal": "This must be at least {ge}.",
    "less_than": "This must be less than {lt}.",
    "less_than_equal": "This must be at most {le}.",
    "list_type": "This must be a list.",
    "dict_type": "This must be a JSON object.",
    "model_type": "This must be a JSON object.",
    "model_attributes_type": "This must be a JSON object.",
    "uuid_type": "This must be a UUID.",
    "uuid_parsing": "This must be a UUID.",
    "datetime_type": "This must be a date and time like 2026-01-31T12:00:00Z.",
    "datetime_parsing": "This must be a date and time like 2026-01-31T12:00:00Z.",
    "datetime_from_date_parsing": "This must be a date and time like 2026-01-31T12:00:00Z.",
    "timezone_aware": "This must be a date and time with a time zone.",
}
_NO_OBJECT = frozenset({"missing", "dict_type", "model_type", "model_attributes_type"})
NOT_JSON = "Send JSON with Content-Type: application/json."


def field_errors(
    error: RequestValidationError, declared: frozenset[str], *, content_type: str = ""
) -> list[dict[str, str]]:
    """Return `{"field": …, "message": …}` for each fault; what a client calls its fields is its input too.

    `content_type` is what the request says of its body.
    """
    faults = error.errors()
    is_json = re.fullmatch(r"application/([^;]+\+)?json", content_type.partition(";")[0].strip().lower())
    if not is_json and any(fault["loc"] == ("body",) and fault["type"] in _NO_OBJECT for fault in faults):
        return [{"field": "", "message": NOT_JSON}]
    return [{"field": _field(found, declared), "message": _message(found)} for found in faults]


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
    kind, context = found["type"], found.get("ctx", {})
    if context.get("field_type") == _CONCEALED:
        # The library counts the letters of a concealed text as items.
        kind = f"string_{kind}"
    if kind in _MESSAGES:
        return _MESSAGES[kind].format_map(context)
    if kind in {"enum", "literal_error"}:
        # The values that we declare; JSON writes what the library calls True and False in small letters.
        known = str(context.get("expected", "")).replace("True", "true").replace("False", "false")
        return f"Use one of: {known}."
    message = str(found["msg"]).removeprefix("Value error, ")
    if isinstance(context.get("error"), str) or "reason" in context:
        # A parser says after the first mark which letter of the input it stumbled over.
        return re.split("[,:]", message)[0]
    return message

"""Bodies of requests: a value is what JSON says it is, and is never shown in an error."""

import types
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError


class RequestBody(BaseModel):
    """Base of what comes in: unknown fields are ignored, and nothing is taken for what it is not.

    "yes", "on" and 1 are no `true`, "3" and `true` are no 3: what means one thing to a form library must not
    delete an account. Query parameters are text and keep the framework's reading.
    """

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _is_what_json_says(cls, value: Any, info: ValidationInfo) -> Any:
        kinds = _kinds_of(cls, info.field_name or "")
        if bool in kinds and not _fits(value, kinds, bool):
            raise PydanticCustomError("strict_bool", "This must be true or false.")
        if int in kinds and bool not in kinds and not _fits(value, kinds, int, float):
            raise PydanticCustomError("strict_int", "This must be a whole number.")
        # JSON can spell half of a surrogate pair, which neither an encoding nor the database can hold.
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("This text contains half a character.")
        return value


def _fits(value: Any, kinds: frozenset[Any], *types_of_value: type) -> bool:
    if value is None:
        return True
    if isinstance(value, bool):
        return bool in types_of_value
    return isinstance(value, types_of_value) or any(isinstance(value, kind) for kind in kinds - {bool, int})


_KINDS: dict[tuple[type, str], frozenset[Any]] = {}


def _kinds_of(model: type[BaseModel], name: str) -> frozenset[Any]:
    if (model, name) not in _KINDS:
        _KINDS[model, name] = frozenset(_kinds(model.model_fields[name].annotation))
    return _KINDS[model, name]


def _kinds(annotation: Any) -> Iterator[type]:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _kinds(part)
    elif origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif origin is Literal:
        yield from {type(value) for value in get_args(annotation)}
    elif isinstance(origin, type):
        yield origin
    elif isinstance(annotation, type) and not issubclass(annotation, Enum):
        yield annotation

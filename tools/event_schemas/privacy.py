"""The proof that no event can carry personal data: every value a model can hold is of a harmless kind.

Invariant: only identifiers, times, counts, versions, codes, digests and closed enumerations pass. Text passes
only with a pattern that refuses e-mail addresses, names, phone numbers and network addresses.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from contracts.fields import Kind

_CONTAINERS = (tuple, list, set, frozenset, dict)
_PERSONAL = ("anna@example.com", "Anna Müller", "+49 170 1234567", "2001:db8::7", "Berlin, DE")
_MARKABLE: tuple[Any, ...] = (UUID, datetime, AwareDatetime, date, int, bool, str)


@dataclass(frozen=True)
class Leaf:
    """One value that a model can hold: where, and its kind or its closed set of choices."""

    path: str
    kind: Kind | None = None
    choices: tuple[str, ...] = ()

    @property
    def explained(self) -> bool:
        """Whether it is known to be no personal data."""
        return self.kind is not None or bool(self.choices)


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[Leaf]:
    """Walk everything that a model can hold, through nested models, unions and containers."""
    for name, field in model.model_fields.items():
        yield from _walk(f"{prefix}{name}", field.annotation, field.metadata)
    if model.model_config.get("extra") == "allow":
        yield Leaf(f"{prefix}<any extra field>")


def unexplained(model: type[BaseModel]) -> list[str]:
    """List the places of a model that could carry personal data; empty when there is none."""
    return [leaf.path for leaf in leaves(model) if not leaf.explained]


def _walk(path: str, annotation: Any, metadata: Sequence[Any]) -> Iterator[Leaf]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _walk(path, arguments[0], [*metadata, *arguments[1:]])
    elif origin in (Union, UnionType):
        for option in arguments:
            if option is not NoneType:
                yield from _walk(path, option, metadata)
    elif origin is Literal:
        yield Leaf(path, choices=tuple(str(choice) for choice in arguments))
    elif origin is dict:
        yield from _walk(f"{path}.<key>", arguments[0], ())
        yield from _walk(f"{path}.<value>", arguments[1], ())
    elif origin in _CONTAINERS:
        for item in arguments:
            if item is not Ellipsis:
                yield from _walk(f"{path}[]", item, ())
    else:
        yield from _leaf(path, annotation, metadata)


def _leaf(path: str, annotation: Any, metadata: Sequence[Any]) -> Iterator[Leaf]:
    if not isinstance(annotation, type):
        yield Leaf(path)
    elif issubclass(annotation, BaseModel):
        yield from leaves(annotation, f"{path}.")
    elif issubclass(annotation, Enum):
        yield Leaf(path, choices=tuple(str(member.value) for member in annotation))
    elif annotation in _MARKABLE and not (annotation is str and not _too_narrow_for_people(metadata)):
        yield Leaf(path, kind=next((mark for mark in _flat(metadata) if isinstance(mark, Kind)), None))
    else:
        yield Leaf(path)


def _too_narrow_for_people(metadata: Sequence[Any]) -> bool:
    """Tell whether some pattern refuses all that a careless producer might put there."""
    patterns = [it for mark in _flat(metadata) if isinstance(it := getattr(mark, "pattern", None), str)]
    return any(not any(re.search(it, sample) for sample in _PERSONAL) for it in patterns)


def _flat(metadata: Sequence[Any]) -> Iterator[Any]:
    for mark in metadata:
        if isinstance(mark, FieldInfo):
            yield from _flat(mark.metadata)
        else:
            yield mark

"""What may change in a published schema: optional fields may be added, nothing else.

Both sides are protected. A narrower schema refuses messages that are on their way; a wider one lets producers
say what yesterday's consumers don't understand. Either is a new version of the type.
"""

from collections.abc import Callable, Iterator
from typing import Any

Schema = dict[str, Any]

_ABSENT: Any = object()
_PROSE = frozenset({"$schema", "$id", "$defs", "title", "description", "examples", "$comment", "deprecated"})
_LOWER_BOUNDS = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_UPPER_BOUNDS = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_CHOICES = frozenset({"enum", "const"})
_OBJECT = frozenset({"properties", "required"})
_NESTED = frozenset({"items", "additionalProperties", "propertyNames"})
_OPTIONS = frozenset({"anyOf", "oneOf"})


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Say, one sentence each, what in `new` is more than an added optional field; empty when nothing is."""
    return list(_compare("", _inlined(old, old), _inlined(new, new)))


def _inlined(schema: Any, root: Schema) -> Any:
    """Put definitions in the place of the references to them, so that moving one changes nothing."""
    if isinstance(schema, list):
        return [_inlined(part, root) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: _inlined(part, root) for key, part in schema.items() if key not in {"$ref", "$defs"}}
    if "$ref" not in schema:
        return parts
    name = schema["$ref"].removeprefix("#/$defs/")
    return {**_inlined(root["$defs"][name], root), **parts}


def _compare(path: str, old: Schema, new: Schema) -> Iterator[str]:
    if _OPTIONS & (old.keys() | new.keys()):
        (before, old), (after, new) = _split(old), _split(new)
        yield from _compare_options(path, before, after)
    else:
        yield from _compare_choices(path, old, new)
        yield from _compare_objects(path, old, new)
    for keyword in sorted((old.keys() | new.keys()) - _CHOICES - _OBJECT - _PROSE):
        yield from _compare_keyword(path, keyword, old.get(keyword, _ABSENT), new.get(keyword, _ABSENT))


def _compare_keyword(path: str, keyword: str, old: Any, new: Any) -> Iterator[str]:
    if old == new and type(old) is type(new):
        return
    compare = _COMPARISONS.get(keyword, _changed)
    yield from compare(path, keyword, old, new)


def _changed(path: str, keyword: str, old: Any, new: Any) -> Iterator[str]:
    yield f"{_place(path)}: {keyword} changed from {_shown(old)} to {_shown(new)}"


def _compare_bound(path: str, keyword: str, old: Any, new: Any) -> Iterator[str]:
    if old is _ABSENT or new is _ABSENT:
        narrower = old is _ABSENT
    else:
        narrower = new > old if keyword in _LOWER_BOUNDS else new < old
    effect = "narrowed" if narrower else "widened"
    yield f"{_place(path)}: {keyword} was {effect} from {_shown(old)} to {_shown(new)}"


def _compare_nested(path: str, keyword: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _compare(f"{path}[]" if keyword == "items" else f"{path}.<{keyword}>", old, new)
    else:
        yield from _changed(path, keyword, old, new)


def _compare_pattern_properties(path: str, keyword: str, old: Any, new: Any) -> Iterator[str]:
    if old is _ABSENT or new is _ABSENT or old.keys() != new.keys():
        yield from _changed(path, keyword, old, new)
        return
    for pattern in old:
        yield from _compare(f"{path}.<{pattern}>", old[pattern], new[pattern])


_COMPARISONS: dict[str, Callable[[str, str, Any, Any], Iterator[str]]] = {
    **dict.fromkeys(_LOWER_BOUNDS | _UPPER_BOUNDS, _compare_bound),
    **dict.fromkeys(_NESTED, _compare_nested),
    "patternProperties": _compare_pattern_properties,
}


def _compare_choices(path: str, old: Schema, new: Schema) -> Iterator[str]:
    before, after = _choices(old), _choices(new)
    if before is None and after is None:
        return
    if before is None or after is None:
        effect = "is now limited to" if before is None else "is no longer limited to"
        yield f"{_place(path)} {effect} {_listed(after if before is None else before)}"
        return
    lost = [value for value in before if value not in after]
    gained = [value for value in after if value not in before]
    if lost:
        yield f"{_place(path)} no longer allows {_listed(lost)}"
    if gained:
        yield f"{_place(path)} allows {_listed(gained)}, which its readers don't know"


def _choices(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values


def _compare_objects(path: str, old: Schema, new: Schema) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    needed_before, needed_after = set(old.get("required", [])), set(new.get("required", []))
    for name in sorted(before.keys() - after.keys()):
        yield f"{_place(path, name)} was removed"
    for name in sorted(needed_after - needed_before):
        yield f"{_place(path, name)} {'became' if name in before else 'is new and'} required"
    for name in sorted((needed_before - needed_after) & after.keys()):
        yield f"{_place(path, name)} is no longer required, and its readers rely on it"
    for name in before:
        if name in after:
            yield from _compare(f"{path}.{name}", before[name], after[name])


def _compare_options(path: str, old: list[Schema], new: list[Schema]) -> Iterator[str]:
    before, after = _by_json_type(old), _by_json_type(new)
    for label in sorted(before.keys() - after.keys()):
        yield f"{_place(path)} can no longer be {label}"
    for label in sorted(after.keys() - before.keys()):
        yield f"{_place(path)} can be {label}, which its readers don't know"
    for label in sorted(before.keys() & after.keys()):
        if len(before[label]) != len(after[label]):
            yield f"{_place(path)} has {len(after[label])} forms of {label}, and had {len(before[label])}"
        for one, other in zip(before[label], after[label], strict=False):
            yield from _compare(path, one, other)


def _split(schema: Schema) -> tuple[list[Schema], Schema]:
    """Separate the forms a value can take from the rest; a schema without options is its own only form."""
    if _OPTIONS & schema.keys():
        forms = [form for keyword in sorted(_OPTIONS) for form in schema.get(keyword, [])]
        return forms, {key: part for key, part in schema.items() if key not in _OPTIONS}
    rest = {key: part for key, part in schema.items() if key == "default"}
    return [{key: part for key, part in schema.items() if key not in rest}], rest


def _by_json_type(forms: list[Schema]) -> dict[str, list[Schema]]:
    found: dict[str, list[Schema]] = {}
    for form in forms:
        found.setdefault(str(form.get("type", "a choice")), []).append(form)
    return found


def _place(path: str, name: str = "") -> str:
    return f"{path}.{name}".strip(".") or "the envelope"


def _shown(value: Any) -> str:
    return "nothing" if value is _ABSENT else repr(value)


def _listed(values: list[Any] | None) -> str:
    return ", ".join(repr(value) for value in values or [])

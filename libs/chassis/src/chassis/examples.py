"""An example for everything that an operation takes and answers, made from the schemas."""

from collections.abc import Iterable, Mapping
from typing import Any

from chassis.problems import PROBLEM_JSON, PROBLEM_TYPE_PREFIX

Document = dict[str, Any]

_UUID = "01a218a0-8356-74f5-b207-f1053475fe76"
_BY_FORMAT = {
    "base64url": "AQIDBA",
    "date": "2026-11-26",
    "date-time": "2026-11-26T15:10:00Z",
    "email": "anna@example.com",
    "uri": "https://irisvue.example/api/v1/photos",
    "uuid": _UUID,
}
_BY_NAME = {
    "country_code": "DE",
    "email": "anna@example.com",
    "detail": "There is nothing at this address, or it is not yours.",
    "jurisdiction": "gdpr",
    "state_code": "BY",
    "Idempotency-Key": _UUID,
    "If-None-Match": '"01a218a0.1"',
    "If-Range": '"01a218a0.1"',
    "Range": "bytes=0-1023",
    "part": "db",
    "username": "anna@example.com",
}
_PAGE = "<!doctype html>"
_PICTURE = "the bytes of the picture"
_DEPTH = 8


def add_formats(schema: Document) -> None:
    """Name the format of links among a schema's properties."""
    for name, field in schema.get("properties", {}).items():
        for kind in (field, *field.get("anyOf", ())):
            if name.endswith("_url") and kind.get("type") == "string":
                kind.setdefault("format", "uri")


class Examples:
    """Writes examples into the operations of one document."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def add_to(self, operations: Iterable[Document]) -> None:
        """Give each operation's parameters, bodies and answers an example, where they have none."""
        for operation in operations:
            for parameter in operation.get("parameters", ()):
                parameter.setdefault("example", self.of(parameter["schema"], parameter["name"]))
            self._add_to_content(operation.get("requestBody", {}).get("content", {}))
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if PROBLEM_JSON in content:
                    content[PROBLEM_JSON] = {
                        **content[PROBLEM_JSON],
                        "example": _problem(int(status), response["description"]),
                    }
                else:
                    self._add_to_content(content)

    def _add_to_content(self, content: Mapping[str, Document]) -> None:
        for media_type, media in content.items():
            schema = media.get("schema", {})
            if media_type.endswith(("json", "form-urlencoded")):
                given = self._whole(media["example"], schema) if "example" in media else self.of(schema, "")
                media["example"] = given
            else:
                media.setdefault("example", _PAGE if media_type == "text/html" else _PICTURE)

    def of(self, schema: Document, name: str, depth: int = 0) -> Any:
        """Return a value that `schema` accepts, for something called `name`."""
        if "$ref" in schema:
            return self.of(self._resolved(schema["$ref"]), name, depth)
        for given in ("examples", "enum"):
            if schema.get(given):
                return self._whole(schema[given][0], schema)
        if "const" in schema:
            return schema["const"]
        for choice in ("anyOf", "oneOf", "allOf"):
            if choice in schema:
                real = [option for option in schema[choice] if option.get("type") != "null"]
                return self.of(real[0], name, depth)
        return self._of_kind(schema, name, depth)

    def _of_kind(self, schema: Document, name: str, depth: int) -> Any:
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                return [] if depth > _DEPTH else [self.of(schema.get("items", {}), name, depth + 1)]
            case "string":
                return _text(schema, name)
            case "integer" | "number":
                return schema.get("default", schema.get("minimum", 1)) or 1
            case "boolean":
                return True
            case _:
                return {}

    def _object(self, schema: Document, depth: int) -> Document:
        if depth > _DEPTH:
            return {}
        return {key: self.of(field, key, depth + 1) for key, field in schema.get("properties", {}).items()}

    def _whole(self, example: Any, schema: Document) -> Any:
        """Return `example` with what it leaves out although it is always there: what may be null."""
        if "$ref" in schema:
            return self._whole(example, self._resolved(schema["$ref"]))
        if isinstance(example, list):
            return [self._whole(item, schema.get("items", {})) for item in example]
        if not isinstance(example, dict):
            return example
        for choice in schema.get("anyOf", ()):
            if choice.get("type") != "null":
                return self._whole(example, choice)
        fields = schema.get("properties", {})
        given = {key: self._whole(value, fields.get(key, {})) for key, value in example.items()}
        return {**dict.fromkeys(schema.get("required", ())), **given}

    def _resolved(self, reference: str) -> Document:
        kind, name = reference.removeprefix("#/components/").split("/")
        found: Document = self._document["components"][kind][name]
        return found


def _text(schema: Document, name: str) -> str:
    text = _BY_NAME.get(name) or _BY_FORMAT.get(schema.get("format", "")) or schema.get("default") or name
    text = str(text) or "text"
    return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength", len(text) + 1000)]


def _problem(status: int, description: str) -> Document:
    title, _, rest = description.split("; ", maxsplit=1)[0].partition(" (`")
    return {
        "type": PROBLEM_TYPE_PREFIX + rest.partition("`")[0],
        "title": title,
        "status": status,
        "detail": f"{title}.",
        "instance": f"urn:irisvue:request:{_UUID}",
    }

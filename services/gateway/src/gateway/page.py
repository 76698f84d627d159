"""The API documentation as one plain page: no script, nothing loaded from anywhere."""

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; text-transform: capitalize; border-bottom: 1px solid #8886; }
details { border: 1px solid #8886; border-radius: .4rem; margin: .5rem 0; padding: .3rem .8rem; }
summary { cursor: pointer; }
code { font: 14px ui-monospace, monospace; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; }
.get { color: #1a7f37; } .post { color: #0969da; }
.put, .patch { color: #9a6700; } .delete { color: #cf222e; }
.tag { font-size: 12px; border: 1px solid #8886; border-radius: 1rem; padding: 0 .5rem; }
table { border-collapse: collapse; margin: .5rem 0; }
td, th { text-align: left; vertical-align: top; padding: .15rem 1rem .15rem 0; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'"
_METHODS = ("get", "post", "put", "patch", "delete")

Document = dict[str, Any]


def render(document: Document) -> str:
    """Return the page for an OpenAPI document."""
    info = document["info"]
    sections: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                tag = (item[method].get("tags") or ["other"])[0]
                sections.setdefault(tag, []).append(_operation(document, path, method, item[method]))
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(parts)}" for tag, parts in sections.items())
    server = escape(document["servers"][0]["url"])
    return (
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{escape(info['title'])} API</title>"
        f'<meta name=viewport content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        f"<p>Server: <code>{server}</code> · machine readable: <a href=/openapi.json>openapi.json</a></p>"
        f"{body}</body></html>"
    )


def _operation(document: Document, path: str, method: str, operation: Document) -> str:
    bearer = " <span class=tag>bearer token</span>" if operation.get("security") else ""
    return (
        f"<details><summary><code><span class='method {method}'>{method.upper()}</span> "
        f"{escape(path)}</code> {escape(operation.get('summary', ''))}{bearer}</summary>"
        f"<p>{escape(operation.get('description', ''))}</p>"
        f"{_table('Parameters', _parameters(document, operation))}"
        f"{_table('Body', _body(document, operation))}"
        f"{_table('Answers', _answers(document, operation))}</details>"
    )


def _table(title: str, rows: Iterator[tuple[str, str, str]]) -> str:
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{escape(text)}</td></tr>"
        for name, kind, text in rows
    )
    return f"<table><tr><th>{title}</th><th></th><th></th></tr>{cells}</table>" if cells else ""


def _parameters(document: Document, operation: Document) -> Iterator[tuple[str, str, str]]:
    for parameter in operation.get("parameters", []):
        needed = "" if parameter.get("required") else ", optional"
        kind = f"{_kind(document, parameter.get('schema', {}))}, {parameter['in']}{needed}"
        yield parameter["name"], kind, parameter.get("description", "")


def _body(document: Document, operation: Document) -> Iterator[tuple[str, str, str]]:
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content.get("schema", {})
        yield "", media_type, _kind(document, schema)
        yield from _fields(document, schema)


def _answers(document: Document, operation: Document) -> Iterator[tuple[str, str, str]]:
    for status, answer in operation.get("responses", {}).items():
        contents = answer.get("content", {})
        kinds = ", ".join(_kind(document, content.get("schema", {})) for content in contents.values())
        yield status, kinds, answer.get("description", "")
        for content in contents.values() if status.startswith("2") else ():
            yield from _fields(document, content.get("schema", {}))


def _fields(document: Document, schema: Document) -> Iterator[tuple[str, str, str]]:
    resolved = _resolved(document, schema)
    needed = resolved.get("required", [])
    for name, field in resolved.get("properties", {}).items():
        kind = _kind(document, field) + ("" if name in needed else ", optional")
        yield f"· {name}", kind, _resolved(document, field).get("description", "")


def _resolved(document: Document, schema: Document) -> Document:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    _, _, kind, name = reference.split("/", 3)
    found: Document = document.get("components", {}).get(kind, {}).get(name, {})
    return found


def _kind(document: Document, schema: Document) -> str:
    if "$ref" in schema:
        name: str = schema["$ref"].rsplit("/", 1)[1]
        return name
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return " or ".join(_kind(document, option) for option in schema[union])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(document, schema.get('items', {}))}"
    kind = str(schema.get("type", "any"))
    return f"{kind} ({schema['format']})" if "format" in schema else kind

"""Writes the data map of the whole platform from what the services declare: a page and a document."""

import importlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from chassis.processing import Document, merged
from contracts.registry import MEMBERS
from gateway.data_map import GATEWAY, SERVERS

FOLDER = Path(__file__).resolve().parents[2] / "docs"
PAGE, RECORD = "data-map.md", "data-map.json"
_KINDS = ("holdings", "columns", "places")
_INTRODUCTION = """\
# What is held of people

Which data, where, why, for how long, and what an erasure does to it: of every column, key, object, queue,
log and mailbox. `make docs` writes this page from what stands beside the code that writes each of them, and
[data-map.json](data-map.json) for machines; an officer gets the same from the services that run, at
`GET /api/v1/operations/data-map`.

A class of "nobody's" names nobody; "pseudonym" is an id or a keyed hash that leads to a person only for who
has the table or the key beside it. What stays after an erasure says why ("retain").
"""


def services() -> Iterator[Any]:
    """Yield the declaration of every service that has a schema."""
    for name in (name for name, member in MEMBERS.items() if member.has_schema):
        yield getattr(importlib.import_module(f"{name}.main"), name.upper())


def whole() -> Document:
    """Return the map of the whole platform."""
    return merged([*(service.data_map().document() for service in services()), GATEWAY, SERVERS])


def written(document: Document) -> dict[str, str]:
    """Return the text of both files, by name."""
    return {PAGE: page(document), RECORD: record(document)}


def record(document: Document) -> str:
    """Return the map as JSON with a line for each entry, so that a difference can be read."""
    parts = [
        f'  {{"service": {json.dumps(part["service"])},\n'
        + ",\n".join(f'   "{name}": {_listed(part[name], "    ")}' for name in _KINDS)
        + "}"
        for part in document["services"]
    ]
    processing, services = _listed(document["processing"], "  "), ",\n".join(parts)
    return f'{{"processing": {processing},\n "services": [\n{services}]}}\n'


def _listed(entries: Sequence[Document], indent: str) -> str:
    lines = (f"\n{indent}{json.dumps(entry, ensure_ascii=False)}" for entry in entries)
    return f"[{','.join(lines)}]"


def stale(folder: Path = FOLDER) -> list[str]:
    """Return which of the files are not what the code says."""
    return [
        name
        for name, text in written(whole()).items()
        if not (folder / name).is_file() or (folder / name).read_text() != text
    ]


def page(document: Document) -> str:
    """Return the map as Markdown."""
    parts = [_INTRODUCTION, "## Why\n", _processing(document["processing"])]
    for part in document["services"]:
        parts += [f"## {part['service']}\n", *_service(part)]
    return "\n".join(parts)


def _processing(entries: Sequence[Document]) -> str:
    rows = (
        (it["purpose"], ", ".join(it["data_classes"]), ", ".join(it["services"]), "; ".join(it["recipients"]))
        for it in entries
    )
    return _table(("purpose", "classes of data", "held by", "who else gets some"), rows)


def _service(part: Document) -> Iterator[str]:
    if part["holdings"]:
        yield "What is counted and erased, in this order:\n"
        held = (
            (it["kind"], it["data_class"], it["purpose"], it["retention"], it["on_erase"], _in(it))
            for it in part["holdings"]
        )
        yield _table(("holding", "class", "purpose", "kept", "erasure", "in the export"), held)
        yield "Tables and their columns:\n"
        titles = ("table", "columns", "held as", "class", "purpose", "kept", "erasure", "in the export")
        yield _table(titles, _columns(part["columns"]))
        yield "Elsewhere:\n"
    places = (
        (
            it["kind"],
            f"`{it['name']}`",
            it["holds"],
            it["data_class"],
            it["purpose"],
            it["retention"],
            it["on_erase"],
        )
        for it in part["places"]
    )
    yield _table(("kind", "place", "holds", "class", "purpose", "kept", "erasure"), places)


def _columns(columns: Iterable[Document]) -> Iterator[tuple[str, ...]]:
    """Yield one row for the columns of a table that say the same."""
    for table, rows in groupby(columns, lambda it: it["table"]):
        alike: dict[tuple[str, ...], list[str]] = {}
        for it in rows:
            said = (it["held_as"], it["data_class"], it["purpose"], it["retention"], it["on_erase"], _in(it))
            alike.setdefault(said, []).append(it["column"])
        for shared, names in alike.items():
            yield (table, ", ".join(names), *shared)


def _in(entry: Document) -> str:
    return "yes" if entry["in_export"] else "no"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

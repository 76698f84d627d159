"""A service's section of a data export, made of its holdings: complete because nobody lists columns again.

What a section has is what the declarations say is in the export; its JSON Schema (2020-12) comes of the same.
A section is bytes that can be sent while they are read: a line with the schema, then the document.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    String,
    Table,
    Uuid,
    literal,
    select,
    tuple_,
)
from sqlalchemy.orm import InstrumentedAttribute

from chassis.db import Database
from chassis.declarations import Place, PlaceKind
from chassis.holdings import Holding, HoldsRows

PAGE = 500
PIECE_BYTES = 64 * 1024
C = TypeVar("C", bound=HoldsRows)
Schema = dict[str, Any]
_TYPES: Mapping[type[Any], Schema] = {
    Uuid: {"type": "string", "format": "uuid"},
    DateTime: {"type": "string", "format": "date-time"},
    Date: {"type": "string", "format": "date"},
    Boolean: {"type": "boolean"},
    Integer: {"type": "integer"},
    LargeBinary: {"type": "string", "contentEncoding": "base64"},
    String: {"type": "string"},
}


def exported_columns(person: InstrumentedAttribute[Any] | None) -> list[Column[Any]]:
    """Return the columns that the person gets of the rows that name them in `person`."""
    if person is None:
        return []
    table: Table = person.class_.__table__
    return [column for column in table.columns if column.info.get("in_export", True)]


def section_schema(service: str, declared: Sequence[Holding[Any]]) -> Schema:
    """Return the JSON Schema of a service's section; each kind of records has a definition of its own."""
    kinds = {holding.kind: _record_schema(holding) for holding in declared if holding.in_export}
    described = {
        "type": "object",
        "required": ["kind", "data_class", "purpose", "retention", "on_erase", "records"],
        "properties": {
            **{name: {"type": "string"} for name in ("data_class", "purpose", "retention", "on_erase")},
            "kind": {"enum": list(kinds)},
        },
        "oneOf": [
            {
                "properties": {
                    "kind": {"const": kind},
                    "records": {"type": "array", "items": {"$ref": f"#/$defs/{kind}"}},
                }
            }
            for kind in kinds
        ],
    }
    text = {"type": "array", "items": {"type": "object"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:irisvue:schema:export:{service}",
        "title": f"What {service} holds of a person",
        "type": "object",
        "required": ["$schema", "service", "holdings", "not_included", "recipients"],
        "properties": {
            "$schema": {"type": "string"},
            "service": {"const": service},
            "holdings": {"type": "array", "items": described if kinds else False},
            "not_included": text,
            "recipients": text,
        },
        "$defs": kinds,
    }


def _record_schema(holding: Holding[Any]) -> Schema:
    columns = exported_columns(holding.person)
    properties = {column.name: _column_schema(column) for column in columns}
    properties |= {name: {"description": said} for name, said in holding.export_adds.items()}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _column_schema(column: Column[Any]) -> Schema:
    if isinstance(column.type, ARRAY):
        schema: Schema = {"type": "array", "items": _type_schema(column.type.item_type)}
    else:
        schema = _type_schema(column.type)
    if column.nullable and "type" in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return schema


def _type_schema(kind: Any) -> Schema:
    # What is JSON in the database is any JSON here.
    return next((schema for known, schema in _TYPES.items() if isinstance(kind, known)), {})


async def rows_of(
    database: Database, person: InstrumentedAttribute[Any], user_id: UUID, *, at_once: int = PAGE
) -> AsyncIterator[dict[str, Any]]:
    """Yield what a person gets of the rows that name them, in the order of their key, by name of column.

    A page at a time, each in a transaction of its own: whoever reads slowly holds none open.
    """
    columns, named = exported_columns(person), _column_of(person)
    keys = list(named.table.primary_key.columns)
    page = (
        select(*columns, *(key.label(f"key {place}") for place, key in enumerate(keys)))
        .where(named == user_id)
        .order_by(*keys)
        .limit(at_once)
    )
    after: list[Any] | None = None
    while True:
        following = page
        if after is not None:
            behind = tuple_(*(literal(value, key.type) for value, key in zip(after, keys, strict=True)))
            following = page.where(tuple_(*keys) > behind)
        async with database.read_only() as session:
            found = [tuple(row) for row in await session.execute(following)]
        for row in found:
            yield {column.name: value for column, value in zip(columns, row, strict=False)}
        if len(found) < at_once:
            return
        after = list(found[-1][len(columns) :])


def _column_of(person: InstrumentedAttribute[Any]) -> Column[Any]:
    column: Column[Any] = person.property.columns[0]
    return column


class Section(Generic[C]):
    """What one opened service holds of people, as the section of an export."""

    def __init__(
        self, service: str, opened: C, declared: Sequence[Holding[C]], places: Sequence[Place] = ()
    ) -> None:
        self.service = service
        self._opened = opened
        self._declared = declared
        self._recipients = [place for place in places if place.kind is PlaceKind.RECIPIENT]

    @property
    def schema(self) -> bytes:
        """The JSON Schema of the document, in one line."""
        return _json(section_schema(self.service, self._declared))

    async def stream(self, user_id: UUID, counts: dict[str, int]) -> AsyncIterator[bytes]:
        """Yield the schema, a line feed, and the document; `counts` gets how many records of each kind."""
        yield self.schema + b"\n"
        async for piece in self.document(user_id, counts):
            yield piece

    async def document(self, user_id: UUID, counts: dict[str, int]) -> AsyncIterator[bytes]:
        """Yield the document alone, some 64 KiB at a time."""
        waiting = bytearray()
        async for piece in self._pieces(user_id, counts):
            waiting += piece
            if len(waiting) >= PIECE_BYTES:
                yield bytes(waiting)
                waiting.clear()
        yield bytes(waiting)

    async def _pieces(self, user_id: UUID, counts: dict[str, int]) -> AsyncIterator[bytes]:
        head = {"$schema": f"../schemas/{self.service}.schema.json", "service": self.service}
        yield _json(head)[:-1] + b',"holdings":['
        first = True
        for holding in (it for it in self._declared if it.in_export):
            yield b"" if first else b",\n"
            yield _json(_described(holding))[:-1] + b',"records":['
            counts[holding.kind] = 0
            async for record in self._records(holding, user_id):
                yield (b",\n" if counts[holding.kind] else b"\n") + _json(record)
                counts[holding.kind] += 1
            yield b"]}"
            first = False
        left_out = [_described(holding) for holding in self._declared if not holding.in_export]
        recipients = [
            {"name": it.name, "holds": it.holds, "on_erase": it.on_erase} for it in self._recipients
        ]
        yield b'],"not_included":' + _json(left_out) + b',"recipients":' + _json(recipients) + b"}\n"

    def _records(self, holding: Holding[C], user_id: UUID) -> AsyncIterator[dict[str, Any]]:
        if holding.export is not None:
            return holding.export(self._opened, user_id)
        if holding.person is None:
            raise TypeError(f"{holding.kind} has no rows")
        return rows_of(self._opened.database, holding.person, user_id)


def _described(holding: Holding[Any]) -> dict[str, str]:
    """Return what a person is told about a kind of data (GDPR, Article 15(1)(a), (b) and (d))."""
    return {
        "kind": holding.kind,
        "data_class": holding.data_class.value,
        "purpose": holding.purpose.value,
        "retention": holding.retention,
        "on_erase": holding.on_erase.value,
    }


def _json(value: Any) -> bytes:
    text = json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in an export")

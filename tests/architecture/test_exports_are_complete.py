"""What the data map says is in the export is in a section of it: nobody lists columns a second time."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, String, Table

import data_map_page
from chassis.data_map import DataMap
from chassis.declarations import About, DataClass, Purpose, of_class
from chassis.export_section import section_schema
from chassis.holdings import Holding, OnErase
from chassis.tables import on_erase
from contracts.registry import ASSEMBLER
from contracts.topology import SERVICES as MEMBERS
from contracts.topology import export_contributors

SERVICES = {service.name: service for service in data_map_page.services()}


def not_in_any_section(data_map: DataMap, holdings: Sequence[Holding[Any]]) -> list[str]:
    """Columns and kinds of which the map says that the person gets them, and that no section has."""
    sections = section_schema(data_map.service, holdings)["$defs"]
    document = data_map.document()
    columns = [
        f"{entry['table']}.{entry['column']}"
        for entry in document["columns"]
        if entry["in_export"] and entry["column"] not in fields_of(sections, entry["held_as"])
    ]
    kinds = [it["kind"] for it in document["holdings"] if it["in_export"] and it["kind"] not in sections]
    places = [it["name"] for it in document["places"] if it.get("in_export")]
    held = [place.name for place in data_map.places if place.held_as in sections]
    return columns + kinds + [name for name in places if name not in held]


def fields_of(sections: dict[str, Any], kind: str) -> set[str]:
    return set(sections.get(kind, {}).get("properties", {}))


@pytest.mark.parametrize("name", SERVICES)
def test_everything_that_the_map_says_is_exported_is_in_the_section(name: str) -> None:
    service = SERVICES[name]
    assert not_in_any_section(service.data_map(), service.erasing.holdings) == []


@pytest.mark.parametrize("name", SERVICES)
def test_section_has_something_and_no_secret(name: str) -> None:
    service = SERVICES[name]
    columns = {(it["table"], it["column"]): it for it in service.data_map().document()["columns"]}
    tables = {it.kind: it.person.class_.__table__ for it in service.erasing.holdings if it.person is not None}
    sections = section_schema(name, service.erasing.holdings)["$defs"]
    assert sections
    for kind, schema in sections.items():
        for field in schema["properties"]:
            entry = columns.get((tables[kind].fullname, field)) if kind in tables else None
            assert entry is None or entry["data_class"] != DataClass.KEY, (kind, field)
            assert not field.endswith(("_hash", "_token", "sealed_token", "password")), (kind, field)


def test_every_service_contributes_or_assembles() -> None:
    assert {*export_contributors(), ASSEMBLER} == set(MEMBERS)
    assert {name for name, service in SERVICES.items() if service.exporting} == set(export_contributors())


def test_mutant_column_that_is_said_to_be_exported_of_rows_that_are_not() -> None:
    """One column of a kind that stays here says that the person gets it."""
    table = Table(
        "mail_token_devices",
        MetaData(schema="identity"),
        Column("device", String, info=of_class(DataClass.DEVICE, in_export=True)),
        info=on_erase("delete", pruned_by="erasure", held_as="mail_tokens"),
    )
    identity = SERVICES["identity"]
    data_map = identity.data_map()
    mutant = dataclasses.replace(data_map, schemas=(*data_map.schemas, table.metadata))
    missing = not_in_any_section(mutant, identity.erasing.holdings)
    assert missing == ["identity.mail_token_devices.device"]


def test_mutant_table_that_no_holding_counts() -> None:
    about = About(
        data_class=DataClass.CONTENT, purpose=Purpose.SERVICE, retention="for a day", in_export=True
    )
    table = Table(
        "drafts",
        MetaData(schema="storage"),
        Column("words", String),
        info=on_erase("delete", pruned_by="erasure", about=about),
    )
    storage = SERVICES["storage"]
    data_map = storage.data_map()
    mutant = dataclasses.replace(data_map, schemas=(*data_map.schemas, table.metadata))
    assert not_in_any_section(mutant, storage.erasing.holdings) == ["storage.drafts.words"]


def test_mutant_holding_that_is_left_out_of_the_section() -> None:
    identity = SERVICES["identity"]
    without = [it for it in identity.erasing.holdings if it.kind != "sessions"]
    missing = not_in_any_section(identity.data_map(), without)
    assert {"sessions", "identity.sessions.ip_prefix", "identity.sessions.user_agent"} <= set(missing)


def test_what_nothing_can_export_can_not_be_declared_as_exported() -> None:
    with pytest.raises(TypeError, match="nothing here can export"):
        Holding(
            kind="objects",
            data_class=DataClass.BIOMETRIC,
            purpose=Purpose.SERVICE,
            retention="for a day",
            on_erase=OnErase.DELETE,
            in_export=True,
            count=print,  # type: ignore[arg-type]
            erase=print,  # type: ignore[arg-type]
        )

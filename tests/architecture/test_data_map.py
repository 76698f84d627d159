"""R30: what can hold a person's data is declared with class, purpose, retention and end, or this fails."""

import ast
import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

import data_map_page
from chassis.data_map import DataMap
from chassis.declarations import About, DataClass, Place, PlaceKind, Purpose
from chassis.processing import Document, merged
from chassis.tables import on_erase
from cluster.members import OWNERS
from contracts.registry import JOURNAL_BUCKET, MEMBERS
from contracts.topology import queues

ROOT = Path(__file__).resolve().parents[2]
MAPS = {service.name: service.data_map() for service in data_map_page.services()}
WHOLE = data_map_page.whole()
SOURCES = [
    file for pattern in ("services/*/src", "libs/chassis/src") for file in ROOT.glob(f"{pattern}/**/*.py")
]
# What a module may do with a client of Redis beside handing it to what takes the declared place of its keys.
HARMLESS = {"aclose", "ping", "from_url"}
COUNTING = "sliding_windows.py"


def places(document: Document) -> list[Document]:
    return [place for part in document["services"] for place in part["places"]]


def names(kind: PlaceKind, document: Document = WHOLE) -> list[str]:
    return [place["name"] for place in places(document) if place["kind"] == kind]


def covered(name: str, kind: PlaceKind) -> bool:
    """Tell whether something of that name lies in a declared place."""
    about = About(data_class=DataClass.NOBODY, purpose=Purpose.OPERATION, retention="-")
    return any(
        Place(kind=kind, name=declared, holds="-", on_erase="delete", about=about).covers(name)
        for declared in names(kind)
    )


def writes_to_redis(source: str) -> Iterator[str]:
    """Yield the commands that a module gives a client of Redis by itself."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        of = node.func.value
        owner = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
        if owner.lower().endswith("redis") and node.func.attr not in HARMLESS:
            yield node.func.attr


def counters_without_place(source: str, declared: Mapping[str, object]) -> Iterator[str]:
    """Yield the names under which a module counts though no map has a place for them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "counts_of":
            (argument,) = node.args
            name = argument.value if isinstance(argument, ast.Constant) else ""
            if f"{name}:limits:*" not in declared:
                yield str(name)


@pytest.mark.parametrize("service", MAPS)
def test_r30_everything_that_a_service_stores_is_declared(service: str) -> None:
    assert MAPS[service].undeclared() == []


def test_r30_page_and_record_are_what_the_code_says() -> None:
    assert data_map_page.stale() == [], "run `make docs`, read what changed, and commit it"


def test_r30_every_schema_every_bucket_and_every_queue_is_in_the_map() -> None:
    schemas = {entry["table"].partition(".")[0] for part in WHOLE["services"] for entry in part["columns"]}
    assert schemas == set(OWNERS)
    buckets = {member.bucket for member in MEMBERS.values() if member.bucket} | {JOURNAL_BUCKET}
    assert {name.partition("/")[0] for name in names(PlaceKind.OBJECT)} == buckets
    assert sorted(names(PlaceKind.QUEUE)) == sorted(queue.name for queue in queues())


def test_r30_every_process_has_a_declared_log() -> None:
    ours = {f"{name}-{kind}" for name, it in MEMBERS.items() if it.has_schema for kind in ("api", "worker")}
    doors = {name for name, it in MEMBERS.items() if not it.has_schema}
    assert ours | doors <= set(names(PlaceKind.LOG))


def test_r30_only_what_takes_a_declared_place_writes_to_redis() -> None:
    declared = dict.fromkeys(names(PlaceKind.REDIS))
    assert {file.name for file in SOURCES if list(writes_to_redis(file.read_text()))} == {COUNTING}
    assert [name for file in SOURCES for name in counters_without_place(file.read_text(), declared)] == []


def test_everything_says_why_and_for_how_long_and_nothing_of_a_person_is_kept_without_a_reason() -> None:
    entries = [entry for part in WHOLE["services"] for kind in ("columns", "places") for entry in part[kind]]
    assert len(entries) > 300
    for entry in entries:
        assert entry["purpose"], entry
        assert entry["retention"], entry
        kept = entry["on_erase"].startswith("retain")
        assert not kept or re.match(r"retain: \S", entry["on_erase"]), entry
        assert not kept or entry["data_class"] not in {DataClass.BIOMETRIC, DataClass.KEY}, entry


def test_record_names_what_is_processed_for_each_purpose_and_who_gets_some() -> None:
    by_purpose = {entry["purpose"]: entry for entry in WHOLE["processing"]}
    assert DataClass.BIOMETRIC in by_purpose[Purpose.SERVICE]["data_classes"]
    assert by_purpose[Purpose.SERVICE]["recipients"] == []
    assert any("Apple" in name for name in by_purpose[Purpose.SIGN_IN]["recipients"])


def planted(table: Table) -> DataMap:
    """Return storage's map with one table more."""
    return dataclasses.replace(MAPS["storage"], schemas=(*MAPS["storage"].schemas, table.metadata))


def test_r30_mutant_a_column_that_nobody_has_read_about() -> None:
    """A column of a declared table says what its table says; that a person looks is what the page is for."""
    storage = MAPS["storage"]
    metadata = MetaData(schema="storage")
    for table in storage.schemas[0].tables.values():
        table.to_metadata(metadata)
    metadata.tables["storage.feed_positions"].append_column(Column("last_reader", String))
    mutant = dataclasses.replace(storage, schemas=(metadata, *storage.schemas[1:])).document()

    parts = [mutant if part["service"] == "storage" else part for part in WHOLE["services"]]
    for name, text in data_map_page.written(merged(parts)).items():
        assert text != (data_map_page.FOLDER / name).read_text()


def test_r30_mutant_a_column_whose_table_says_nothing() -> None:
    about = About(data_class=DataClass.CONTENT, purpose=Purpose.SERVICE, retention="for a day")
    table = Table(
        "drafts",
        MetaData(schema="storage"),
        Column("id", Integer, info=on_erase("delete")),
        Column("words", String),
        info={"about": about},
    )
    assert planted(table).undeclared() == ["storage.drafts.words"]


@pytest.mark.parametrize(
    "said", [{}, on_erase("delete", pruned_by="erasure")], ids=["nothing", "its-end-only"]
)
def test_r30_mutant_a_table_without_purpose_and_retention(said: dict[str, str]) -> None:
    table = Table("drafts", MetaData(schema="storage"), Column("words", String), info=said)
    assert planted(table).undeclared() == ["storage.drafts.words"]


def test_r30_mutant_a_key_prefix() -> None:
    assert list(writes_to_redis('await self._redis.set(f"storage:cache:{user_id}", body)')) == ["set"]
    assert list(writes_to_redis("redis.pipeline().set(key, body)")) == ["pipeline"]
    assert list(counters_without_place('COUNTS = counts_of("storage")', {"identity:limits:*": None})) == [
        "storage"
    ]
    assert not covered("storage:cache:1", PlaceKind.REDIS)
    assert covered("gateway:limits:{LIMITER/user/ab12/1/1/minute}/-1", PlaceKind.REDIS)


def test_object_lies_in_a_declared_folder_or_is_found() -> None:
    assert covered("irisvue-photos/9f86d0/0190/1/original", PlaceKind.OBJECT)
    assert not covered("irisvue-photos/9f86d0/0190/1/preview", PlaceKind.OBJECT)
    assert not covered("irisvue-photos/original", PlaceKind.OBJECT)


def test_place_that_nothing_describes_is_refused() -> None:
    with pytest.raises(TypeError, match="either a holding counts it"):
        Place(kind=PlaceKind.REDIS, name="a:*", holds="-", on_erase="delete")
    with pytest.raises(TypeError, match="no known word"):
        Place(kind=PlaceKind.REDIS, name="a:*", holds="-", on_erase="later", held_as="photos")
    stray = Place(kind=PlaceKind.OBJECT, name="a/*", holds="-", on_erase="delete", held_as="nothing")
    assert dataclasses.replace(MAPS["storage"], places=(stray,)).undeclared() == ["a/*"]

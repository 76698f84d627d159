"""Every column that can hold a person's data says what an erasure does to it, every table who prunes it."""

import ast
import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

import data_map_page
from chassis.declarations import RULE, DataClass, Purpose
from chassis.holdings import Holding, OnErase
from chassis.tables import on_erase
from contracts.fields import DATA_KIND_PATTERN
from identity.holdings import HOLDINGS as HELD_BY_IDENTITY
from identity.models import Base as IdentityBase
from identity.models import Session

ROOT = Path(__file__).resolve().parents[2]
SERVICES = {service.name: service for service in data_map_page.services()}
SCHEMAS = {
    next(iter(metadata.tables.values())).schema or "": metadata
    for service in SERVICES.values()
    for metadata in service.erasing.schemas
}


def undeclared(metadata: MetaData) -> list[str]:
    """Columns for which neither they nor their table say what an erasure does, or say it in no known word."""
    found = []
    for table in metadata.tables.values():
        for column in table.columns:
            rule = column.info.get("on_erase", table.info.get("on_erase", ""))
            if not RULE.fullmatch(rule):
                found.append(f"{table.fullname}.{column.name}: {rule!r}")
    return found


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_column_declares_what_an_erasure_does(schema: str) -> None:
    assert not undeclared(SCHEMAS[schema])


@pytest.mark.parametrize("schema", SCHEMAS)
def test_schema_has_tables_of_its_own_name(schema: str) -> None:
    tables = SCHEMAS[schema].tables.values()

    assert tables
    assert {table.schema for table in tables} == {schema}


def test_column_without_declaration_is_found() -> None:
    metadata = MetaData()
    Table("things", metadata, Column("id", Integer, info=on_erase("delete")), Column("email", String))

    assert undeclared(metadata) == ["things.email: ''"]


@pytest.mark.parametrize("rule", ["", "retain", "retain: ", "keep", "later"])
def test_declaration_without_a_verb_or_a_reason_is_found(rule: str) -> None:
    metadata = MetaData()
    Table("things", metadata, Column("email", String), info=on_erase(rule))

    assert undeclared(metadata)


def test_declaration_of_the_table_covers_its_columns() -> None:
    metadata = MetaData()
    Table("things", metadata, Column("email", String), info=on_erase("retain: names of services"))

    assert not undeclared(metadata)


HELD = {name: service.erasing.holdings for name, service in SERVICES.items()}
# What says who is to be erased ends with the erasure itself, and is no holding.
ERASING = {"erasures", "erasure_tasks", "holds", "processor_requests"}
WORDS = {OnErase.DELETE: "delete", OnErase.CASCADE: "delete", OnErase.BLANK: "null"}


def not_held(metadata: MetaData, holdings: Sequence[Holding[Any]]) -> set[str]:
    """Tables of which an erasure takes something, and which no holding counts."""
    personal = {
        table.name
        for table in metadata.tables.values()
        for item in (table, *table.columns)
        if re.match("delete|null", item.info.get("on_erase", ""))
    }
    return personal - ERASING - {table_of(it).name for it in holdings if it.person is not None}


def table_of(holding: Holding[Any]) -> Table:
    """The table that the column which names the person is of."""
    assert holding.person is not None
    table = holding.person.class_.__table__
    assert isinstance(table, Table)
    return table


def contradictions(holdings: Sequence[Holding[Any]]) -> list[str]:
    """Kinds whose table says another thing about erasures, or that go with no row."""
    found = []
    for holding in holdings:
        if holding.person is None:
            continue
        table, column = table_of(holding), holding.person.property.columns[0]
        rule = column.info.get("on_erase", table.info.get("on_erase", ""))
        cascades = any(key.ondelete == "CASCADE" for key in column.foreign_keys)
        if not rule.startswith(WORDS[holding.on_erase]):
            found.append(f"{holding.kind}: {rule!r}")
        if cascades != (holding.on_erase is OnErase.CASCADE):
            found.append(f"{holding.kind} goes with no row")
    return found


@pytest.mark.parametrize("service", HELD)
def test_every_table_about_people_is_counted_by_a_holding(service: str) -> None:
    assert not not_held(SCHEMAS[service], HELD[service])


@pytest.mark.parametrize("service", HELD)
def test_holdings_and_tables_say_the_same_about_erasures(service: str) -> None:
    assert not contradictions(HELD[service])


@pytest.mark.parametrize("service", HELD)
def test_every_holding_has_a_name_of_its_own_and_an_end(service: str) -> None:
    kinds = [holding.kind for holding in HELD[service]]
    assert len(set(kinds)) == len(kinds)
    assert all(re.fullmatch(DATA_KIND_PATTERN, kind) for kind in kinds)
    assert all(holding.retention for holding in HELD[service])


@pytest.mark.parametrize("service", HELD)
def test_person_is_told_what_stays_of_that_which_is_only_blanked(service: str) -> None:
    blanked = {it.kind for it in HELD[service] if it.on_erase is OnErase.BLANK}
    assert blanked <= {it.kind for it in SERVICES[service].erasing.retained}


def a_holding(**differently: Any) -> Holding[Any]:
    said: dict[str, Any] = {
        "kind": "sessions",
        "data_class": DataClass.ACCOUNT,
        "purpose": Purpose.SIGN_IN,
        "retention": "for a day",
        "on_erase": OnErase.CASCADE,
        "in_export": True,
    }
    return Holding(**said | differently)


def test_table_that_no_holding_counts_is_found() -> None:
    without_sessions = [it for it in HELD_BY_IDENTITY if it.kind != "sessions"]
    assert not_held(IdentityBase.metadata, without_sessions) == {"sessions"}


def test_holding_that_contradicts_its_table_is_found() -> None:
    blanked = a_holding(person=Session.user_id, on_erase=OnErase.BLANK, erase=print)
    assert contradictions([blanked]) == ["sessions: 'delete'", "sessions goes with no row"]


def test_holding_that_nothing_counts_or_erases_can_not_be_declared() -> None:
    with pytest.raises(TypeError, match="counts"):
        a_holding()
    with pytest.raises(TypeError, match="erase"):
        a_holding(count=print, on_erase=OnErase.DELETE)


# Who keeps a table from growing for ever: periodic work by its name, or one of these.
OTHERWISE = re.compile(r"erasure|empties itself|kept: \S.*", re.DOTALL)


@functools.cache
def periodic_work() -> set[str]:
    """Names of the work that workers repeat."""
    files = [file for pattern in ("libs/*/src", "services/*/src") for file in ROOT.glob(f"{pattern}/**/*.py")]
    calls = [
        node for file in files for node in ast.walk(ast.parse(file.read_text())) if named(node, "Periodic")
    ]
    return {str(ast.literal_eval(call.args[0])) for call in calls if call.args}


def named(node: ast.AST, name: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def unpruned(metadata: MetaData, work: set[str]) -> list[str]:
    """Tables that don't say who prunes them, or name work that nobody does."""
    return [
        f"{table.fullname}: {pruner!r}"
        for table in metadata.tables.values()
        if (pruner := table.info.get("pruned_by", "")) not in work and not OTHERWISE.fullmatch(pruner)
    ]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_table_declares_who_prunes_it(schema: str) -> None:
    assert not unpruned(SCHEMAS[schema], periodic_work())


def test_periodic_work_is_found_by_its_name() -> None:
    assert periodic_work() >= {"purge-inbox", "purge-dead-letters", "forget-what-expired"}


@pytest.mark.parametrize("pruner", [None, "", "kept", "kept: ", "somebody", "purge-nothing"])
def test_table_that_nobody_prunes_is_found(pruner: str | None) -> None:
    metadata = MetaData()
    Table("things", metadata, Column("id", Integer), info=on_erase("delete", pruned_by=pruner))

    assert unpruned(metadata, {"purge-things"})

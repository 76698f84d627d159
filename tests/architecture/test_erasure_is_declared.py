"""Every column that can hold a person's data says what an erasure does to it, every table who prunes it."""

import ast
import re
from pathlib import Path
from typing import TypeGuard

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

from chassis.tables import on_erase
from consent.models import Base as ConsentBase
from identity.models import Base as IdentityBase
from storage.models import Base as StorageBase
from storage.models import KeyringBase

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = {
    "identity": IdentityBase.metadata,
    "consent": ConsentBase.metadata,
    "storage": StorageBase.metadata,
    "keyring": KeyringBase.metadata,
}
# What may happen to data, and a reason wherever something stays.
RULE = re.compile(r"delete\b.*|null(: \S.*)?|empties itself: \S.*|retain: \S.*", re.DOTALL)


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


# Who keeps a table from growing for ever: periodic work by its name, or one of these.
OTHERWISE = re.compile(r"erasure|empties itself|kept: \S.*", re.DOTALL)


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

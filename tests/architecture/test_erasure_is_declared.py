"""Every column that can hold a person's data says what an erasure does to it."""

import re

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

from chassis.tables import on_erase
from consent.models import Base as ConsentBase
from identity.models import Base as IdentityBase
from storage.models import Base as StorageBase
from storage.models import KeyringBase

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

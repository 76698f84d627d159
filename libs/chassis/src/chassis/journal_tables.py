"""The tables of the erasure journal: how much of it a schema knows, and what is on its way there."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

from chassis.declarations import About, DataClass, Purpose, on_erase


def journal_head(metadata: MetaData) -> Table:
    """Define the one row that says how much of the journal the schema knows, and since when that is sure."""
    return Table(
        "journal_head",
        metadata,
        Column("one", Boolean, primary_key=True, server_default=text("true")),
        Column("position", BigInteger, nullable=False, server_default=text("0")),
        Column("digest", String(64), nullable=False, server_default=text("''")),
        Column("incarnation", String(100), nullable=False, server_default=text("''")),
        CheckConstraint("one", name="one_row"),
        info=on_erase(
            "retain: a position, about nobody",
            pruned_by="kept: one row",
            about=About(data_class=DataClass.NOBODY, purpose=Purpose.ERASURE, retention="one row, for ever"),
        ),
    )


def journal_pages(metadata: MetaData) -> Table:
    """Define the pages that are made and not in the object store yet."""
    return Table(
        "journal_pages",
        metadata,
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("body", LargeBinary, nullable=False),
        info=on_erase(
            "retain: keyed hashes of erased people, until the page is in the object store",
            pruned_by="empties itself",
            about=About(
                data_class=DataClass.PSEUDONYM,
                purpose=Purpose.ERASURE,
                retention="until the page is in the object store",
            ),
        ),
    )

"""Migrations: one Alembic history per schema, run by its owner role, one process at a time.

A migration waits for a lock on a busy table for one second, because whoever comes after it waits behind it;
then it lets the others pass and tries again. So it does while the database starts or fails over.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

import structlog
from alembic import command, context
from alembic.config import Config
from pydantic import SecretStr
from sqlalchemy import Connection, MetaData, pool, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from chassis.database_url import read_database_url
from chassis.engine import DRIVER, TAKES_NO_WRITES, ReadOnlyServer
from chassis.faults import is_transient
from chassis.leases import backoff

LOCK_TIMEOUT = "1s"
STATEMENT_TIMEOUT = "60s"
PATIENCE_SECONDS = 300.0
"""How long a migration is tried, and how long it waits for another process that migrates the same schema."""
PAUSE_SECONDS = (0.5, 5.0)
# Two numbers of 32 bits are another space than the one of 64 in which people are locked.
_TAKE_TURNS = text("SELECT pg_advisory_lock(hashtext('irisvue.migrations'), hashtext(:schema))")

log = structlog.get_logger(__name__)


class MigrationFailed(SystemExit):
    """The schema is not at its newest version; the message says why."""


def alembic_config(script_location: Path, url: str) -> Config:
    """Return Alembic's configuration for the migrations in `script_location` against `url`."""
    config = Config()
    config.set_main_option("script_location", str(script_location))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config


def upgrade(script_location: Path, url: str) -> None:
    """Bring the schema to its newest version; harmless when it is there.

    What passes by itself is tried again for five minutes, from the migration that failed; then it is
    `MigrationFailed`.
    """
    began, failures = time.monotonic(), 0
    while True:
        try:
            command.upgrade(alembic_config(script_location, url), "head")
        except Exception as error:
            if not is_transient(error):
                raise
            failures += 1
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise MigrationFailed(
                    f"{script_location}: not migrated within {PATIENCE_SECONDS:.0f} s: {_cause(error)}"
                ) from error
            log.warning("migration_postponed", folder=str(script_location), error=_cause(error))
            shortest, longest = PAUSE_SECONDS
            time.sleep(backoff(failures, shortest=shortest, longest=longest))
        else:
            return


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__


def check(script_location: Path, url: str) -> None:
    """Raise when the models differ from the migrated schema."""
    command.check(alembic_config(script_location, url))


def run(metadata: MetaData, *, schema: str) -> None:
    """Run what Alembic was asked for; the whole body of a service's `env.py`."""
    asyncio.run(_run_online(metadata, schema, context.config.attributes["url"]))


async def _run_online(metadata: MetaData, schema: str, url: str) -> None:
    address = read_database_url(SecretStr(url))
    if address.pooled:
        raise MigrationFailed("OWNER_DATABASE_URL: migrations need a way past PgBouncer")
    # Alembic takes the tables of the default schema for tables without one, and would not know them again.
    away_from_own_schema = {"dsn": address.dsn, "server_settings": {"search_path": "pg_catalog"}}
    engine = create_async_engine(
        DRIVER, poolclass=pool.NullPool, hide_parameters=True, connect_args=away_from_own_schema
    )
    try:
        async with engine.connect() as connection:
            if await connection.scalar(TAKES_NO_WRITES):
                raise ReadOnlyServer
            await _take_turns(connection, schema)
            await connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            await connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
            await connection.commit()
            await connection.run_sync(_migrate, metadata, schema)
    finally:
        await engine.dispose()


async def _take_turns(connection: AsyncConnection, schema: str) -> None:
    """Wait until no other process migrates this schema; the turn ends with the connection."""
    await connection.execute(text(f"SET lock_timeout = '{PATIENCE_SECONDS:.0f}s'"))
    await connection.execute(text("SET statement_timeout = 0"))
    await connection.execute(_TAKE_TURNS, {"schema": schema})
    await connection.commit()


def _migrate(connection: Connection, metadata: MetaData, schema: str) -> None:
    def only_this_schema(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "schema" or name == schema

    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=schema,
        include_schemas=True,
        include_name=only_this_schema,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
        on_version_apply=context.config.attributes.get("on_version_apply", ()),
    )
    with context.begin_transaction():
        context.run_migrations()

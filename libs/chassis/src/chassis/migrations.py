"""Migrations: one Alembic history per schema, run by its owner role."""

import asyncio
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

LOCK_TIMEOUT = "4s"
STATEMENT_TIMEOUT = "60s"


def alembic_config(script_location: Path, url: str) -> Config:
    """Return Alembic's configuration for the migrations in `script_location` against `url`."""
    config = Config()
    config.set_main_option("script_location", str(script_location))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config


def upgrade(script_location: Path, url: str) -> None:
    """Bring the schema to its newest version; harmless when it is there."""
    command.upgrade(alembic_config(script_location, url), "head")


def check(script_location: Path, url: str) -> None:
    """Raise when the models differ from the migrated schema."""
    command.check(alembic_config(script_location, url))


def run(metadata: MetaData, *, schema: str) -> None:
    """Run what Alembic was asked for; the whole body of a service's `env.py`."""
    asyncio.run(_run_online(metadata, schema, context.config.attributes["url"]))


async def _run_online(metadata: MetaData, schema: str, url: str) -> None:
    # Alembic takes the tables of the default schema for tables without one, and would not know them again.
    away_from_own_schema = {"server_settings": {"search_path": "pg_catalog"}}
    engine = create_async_engine(
        url, poolclass=pool.NullPool, hide_parameters=True, connect_args=away_from_own_schema
    )
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            await connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
            await connection.commit()
            await connection.run_sync(_migrate, metadata, schema)
    finally:
        await engine.dispose()


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

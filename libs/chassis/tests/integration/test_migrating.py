"""Migrations among others: two at once, on a busy table, and while the database is away."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chassis import migrations

ENV = """
from chassis.migrations import run
from sqlalchemy import MetaData
run(MetaData(schema="moving"), schema="moving")
"""
REVISION = """
from alembic import op
revision, down_revision = "{number}", {before!r}
def upgrade():
    op.execute({statement!r})
"""
COMMAND = """
import pathlib, sys
from chassis.migrations import upgrade
upgrade(pathlib.Path(sys.argv[1]), sys.argv[2])
"""


@pytest.fixture
async def schema(scratch):
    await scratch.execute(
        "DROP SCHEMA IF EXISTS moving CASCADE", "CREATE SCHEMA moving AUTHORIZATION chassis_app"
    )
    yield
    await scratch.execute("DROP SCHEMA moving CASCADE")


@pytest.fixture
def migrate(tmp_path, schema, scratch):
    """Return a function that begins to migrate in a process of its own: `migrate(*statements, via=None)`."""
    begun = []

    def begin(*statements, via=None):
        folder = tmp_path / "migrations"
        (folder / "versions").mkdir(parents=True, exist_ok=True)
        (folder / "env.py").write_text(ENV)
        before = None
        for number, statement in enumerate(statements):
            text = REVISION.format(number=number, before=before, statement=statement)
            (folder / "versions" / f"{number}.py").write_text(text)
            before = str(number)
        command = [sys.executable, "-c", COMMAND, str(folder), scratch.url(via=via)]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


async def ended(process, *, seconds=30):
    output, _ = await asyncio.to_thread(process.communicate, timeout=seconds)
    return process.returncode, output


async def test_of_two_that_migrate_at_once_one_waits_and_both_are_content(migrate, rows):
    statements = ("SELECT pg_sleep(1)", "CREATE TABLE moving.things (id int)", "SELECT pg_sleep(1)")
    first, second = migrate(*statements), migrate(*statements)
    for process in (first, second):
        code, output = await ended(process)
        assert code == 0, output
    assert [row["version_num"] for row in await rows("moving.alembic_version")] == ["2"]


async def test_migration_of_a_busy_table_lets_others_pass_and_comes_again(migrate, scratch, rows):
    await scratch.execute(
        "CREATE TABLE moving.things (id int)", "ALTER TABLE moving.things OWNER TO chassis_app"
    )
    report = await scratch.connect()
    other = await scratch.connect()
    try:
        async with report.transaction():
            await report.fetch("SELECT * FROM moving.things")
            migrating = migrate("ALTER TABLE moving.things ADD COLUMN name text")
            longest = 0.0
            # Until the first wait for the lock is given up.
            postponed = asyncio.create_task(asyncio.to_thread(migrating.stdout.readline))
            while not postponed.done():
                asked = time.monotonic()
                await other.fetch("SELECT * FROM moving.things")
                longest = max(longest, time.monotonic() - asked)
            said = postponed.result()
        code, output = await ended(migrating)
    finally:
        await report.close()
        await other.close()
    assert code == 0, output
    assert "migration_postponed" in said
    assert "LockNotAvailableError" in said
    assert longest < 2
    assert "name" in await columns(scratch)


async def columns(scratch):
    connection = await scratch.connect()
    try:
        found = await connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'moving.things'::regclass"
        )
        return {row["attname"] for row in found}
    finally:
        await connection.close()


async def test_database_that_is_away_is_waited_for(migrate, scratch, database_proxy, rows):
    database_proxy.cut(refusing=True)
    migrating = migrate("CREATE TABLE moving.things (id int)", via=database_proxy)
    assert "migration_postponed" in await asyncio.to_thread(migrating.stdout.readline)
    database_proxy.heal()
    code, output = await ended(migrating)
    assert code == 0, output
    assert await rows("moving.things") == []


async def test_server_that_is_starting_is_waited_for(migrate, scratch, rows):
    await scratch.execute("ALTER ROLE chassis_app CONNECTION LIMIT 0")
    try:
        migrating = migrate("CREATE TABLE moving.things (id int)")
        assert "TooManyConnectionsError" in await asyncio.to_thread(migrating.stdout.readline)
    finally:
        await scratch.execute("ALTER ROLE chassis_app CONNECTION LIMIT -1")
    code, output = await ended(migrating)
    assert code == 0, output


def test_database_that_stays_away_ends_the_migration_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(migrations, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(migrations, "PAUSE_SECONDS", (0.1, 0.1))
    (tmp_path / "env.py").write_text(ENV)
    with pytest.raises(migrations.MigrationFailed, match=r"not migrated within .*ConnectionRefusedError"):
        migrations.upgrade(Path(tmp_path), "postgresql+asyncpg://nobody@127.0.0.1:1/none")


def test_way_through_a_pooler_is_refused(tmp_path):
    (tmp_path / "env.py").write_text(ENV)
    url = "postgresql+asyncpg://nobody@127.0.0.1:1/none?prepared_statement_cache_size=0"
    with pytest.raises(migrations.MigrationFailed, match="past PgBouncer"):
        migrations.upgrade(Path(tmp_path), url)

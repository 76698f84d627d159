"""Backups of real schemas: what was there comes back as it was, all of it or nothing."""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cluster import archives
from cluster.archives import STAMP
from cluster.backup_schedule import AFTER_A_FAILURE, FIRST_BACKUP, BackupSchedule
from cluster.backups import DAYS, KEYRING_DAYS, Backups
from cluster.clients import installed_binaries
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.members import DATABASE_SERVICES
from cluster.progress import Progress
from identity.settings import IdentitySettings
from support.platform import Platform

ROW = "INSERT INTO storage.feed_positions (feed, position) VALUES ('drill', $1)"
READ = "SELECT position FROM storage.feed_positions WHERE feed = 'drill'"
KEY = "INSERT INTO keyring.keys (owner, key_id, wrapped) VALUES ($1, 'k1', '\\x00')"
KEYS = "SELECT owner FROM keyring.keys"
# Who owns each table of a schema, and what the service's own role may do with it.
RIGHTS = """
    SELECT string_agg(format('%s %s %s', c.relname, c.relowner::regrole, (
        SELECT string_agg(verb, '+' ORDER BY verb)
        FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS verb
        WHERE has_table_privilege('consent_app', c.oid, verb)
    )), E'\\n' ORDER BY c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'consent' AND c.relkind = 'r'
"""


@pytest.fixture
def key() -> tuple[str, str]:
    return archives.new_identity()


@pytest.fixture
async def backups(platform: Platform, tmp_path: Path, key: tuple[str, str]) -> Callable[..., Backups]:
    for service in DATABASE_SERVICES:
        platform.migrate(service)
        await platform.clean(service)

    def of(**changed: str) -> Backups:
        values = {
            **platform.servers.values,
            "BACKUP_RECIPIENT": key[1],
            "BACKUP_DIRECTORY": str(tmp_path / "backups"),
            **changed,
        }
        return Backups(Layout.of(tmp_path), values, Progress(), programs=installed_binaries())

    return of


async def fetch(platform: Platform, statement: str, *values: object, database: str = "irisvue") -> object:
    connection = await platform.connect_as_admin(database)
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()


async def in_thread(function: Callable[..., object], *arguments: object) -> object:
    # The commands have loops of their own.
    return await asyncio.to_thread(function, *arguments)


async def test_restored_schemas_are_as_they_were_with_rows_and_rights(
    platform: Platform, backups: Callable[..., Backups], key: tuple[str, str]
) -> None:
    await fetch(platform, ROW, 1)
    await fetch(platform, KEY, "a" * 64, database="keyring")
    rights = await fetch(platform, RIGHTS)
    made = await in_thread(backups().make)
    assert isinstance(made, Path)
    await fetch(platform, "UPDATE storage.feed_positions SET position = 2")
    await fetch(platform, "DELETE FROM keyring.keys", database="keyring")
    await fetch(platform, "CREATE TABLE consent.later (id int)")

    await in_thread(backups().restore, made, key[0])
    assert await fetch(platform, READ) == 1
    assert await fetch(platform, KEYS, database="keyring") == "a" * 64
    assert await fetch(platform, RIGHTS) == rights
    assert await fetch(platform, "SELECT to_regclass('consent.later')::text") is None
    # The service's own role finds its rows, and the schema is one that was restored.
    assert await fetch(platform, "SELECT has_table_privilege('storage_app', 'storage.photos', 'INSERT')")
    for service in DATABASE_SERVICES:
        await platform.take_for_current(service)


async def test_nothing_is_touched_when_an_archive_was_changed_or_the_key_is_another(
    platform: Platform, backups: Callable[..., Backups], key: tuple[str, str]
) -> None:
    await fetch(platform, ROW, 1)
    made = await in_thread(backups().make)
    assert isinstance(made, Path)
    await fetch(platform, "UPDATE storage.feed_positions SET position = 2")
    with pytest.raises(ClusterError, match="can't be opened"):
        await in_thread(backups().restore, made, archives.new_identity()[0])
    keyring = made.parent / "keyring" / made.name / "keyring.dump.age"
    body = bytearray(keyring.read_bytes())
    body[len(body) // 2] ^= 1
    keyring.write_bytes(body)
    with pytest.raises(ClusterError, match="was changed"):
        await in_thread(backups().restore, made, key[0])
    assert await fetch(platform, READ) == 2


async def test_restore_that_fails_halfway_leaves_every_schema_as_it_was(
    platform: Platform, backups: Callable[..., Backups], key: tuple[str, str], tmp_path: Path
) -> None:
    await fetch(platform, ROW, 1)
    made = await in_thread(backups().make)
    assert isinstance(made, Path)
    await fetch(platform, "UPDATE storage.feed_positions SET position = 2")
    broken = made / "storage.dump.age"
    plain = tmp_path / "no-dump"
    plain.write_bytes(os.urandom(1000))
    with plain.open("rb") as file:
        archives.Sealer(key[1]).seal(file, broken)
    archives.write_manifest(
        made,
        datetime.now(UTC),
        {file.name.partition(".")[0]: archives.described(file) for file in made.glob("*.age")},
    )
    with pytest.raises(ClusterError, match="all is as before"):
        await in_thread(backups().restore, made, key[0])
    assert await fetch(platform, READ) == 2
    assert await fetch(platform, "SELECT count(*) FROM identity.users") == 0


async def test_backups_of_keys_are_gone_sooner_and_a_restore_then_leaves_the_keyring(
    platform: Platform, backups: Callable[..., Backups], key: tuple[str, str]
) -> None:
    old, now = datetime.now(UTC) - timedelta(days=8), datetime.now(UTC)
    made = await in_thread(backups().make, old)
    assert isinstance(made, Path)
    await fetch(platform, KEY, "b" * 64, database="keyring")
    await in_thread(backups().make, now)
    directory = made.parent
    assert sorted(it.name for it in directory.iterdir()) == [
        old.strftime(STAMP),
        now.strftime(STAMP),
        "keyring",
    ]
    assert [it.name for it in (directory / "keyring").iterdir()] == [now.strftime(STAMP)]
    await in_thread(backups().restore, made, key[0])
    assert await fetch(platform, KEYS, database="keyring") == "b" * 64
    for service in DATABASE_SERVICES:
        await platform.take_for_current(service)


async def test_backups_are_made_when_they_are_due_and_a_restart_repeats_none(
    backups: Callable[..., Backups], tmp_path: Path
) -> None:
    now, fresh = [datetime(2027, 1, 2, 3, 0, tzinfo=UTC)], tmp_path / "fresh-until"

    def started() -> BackupSchedule:
        return BackupSchedule(backups(), Progress(), hours=24, fresh_until=fresh, now=lambda: now[0])

    schedule = started()
    for hours, made in ((0, 1), (23, 1), (24, 2), (25, 2)):
        now[0] = datetime(2027, 1, 2, 3, 0, tzinfo=UTC) + timedelta(hours=hours)
        await in_thread(schedule.look)
        assert len(list(archives.backups_in(tmp_path / "backups"))) == made
    await in_thread(started().look)
    assert len(list(archives.backups_in(tmp_path / "backups"))) == 2
    assert int(fresh.read_text()) == int(datetime(2027, 1, 5, 3, 0, tzinfo=UTC).timestamp())


async def test_keys_go_in_time_even_while_no_backup_succeeds_and_that_is_told(
    backups: Callable[..., Backups], tmp_path: Path
) -> None:
    now, fresh = [datetime(2027, 1, 2, 3, 0, tzinfo=UTC)], tmp_path / "fresh-until"
    await in_thread(backups().make, now[0])
    unfinished = tmp_path / "backups" / "keyring" / f".{now[0].strftime(STAMP)}"
    unfinished.mkdir()
    nowhere = backups(POSTGRES_PORT="1")
    now[0] += timedelta(days=7, seconds=1)
    schedule = BackupSchedule(nowhere, Progress(), hours=24, fresh_until=fresh, now=lambda: now[0])
    await in_thread(schedule.look)
    assert list((tmp_path / "backups" / "keyring").iterdir()) == []
    assert len(list(archives.backups_in(tmp_path / "backups"))) == 1
    assert int(fresh.read_text()) == int((now[0] + FIRST_BACKUP).timestamp())
    now[0] += AFTER_A_FAILURE
    mended = BackupSchedule(backups(), Progress(), hours=24, fresh_until=fresh, now=lambda: now[0])
    await in_thread(mended.look)
    assert len(list(archives.backups_in(tmp_path / "backups" / "keyring"))) == 1


async def test_nothing_is_left_of_a_backup_that_failed(
    backups: Callable[..., Backups], tmp_path: Path
) -> None:
    with pytest.raises(ClusterError, match="does not list"):
        await in_thread(backups(S3_PORT="1").make)
    assert [file for file in (tmp_path / "backups").rglob("*") if file.is_file()] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IDENTITY_KEYRING_BACKUP_DAYS", "8"),
        ("IDENTITY_BACKUP_DAYS", "0"),
        ("IDENTITY_BACKUP_DAYS", "a year"),
        ("BACKUP_RECIPIENT", ""),
    ],
)
async def test_settings_that_make_no_sense_make_no_backup(
    backups: Callable[..., Backups], name: str, value: str, tmp_path: Path
) -> None:
    with pytest.raises(ClusterError, match=name):
        await in_thread(lambda: backups(**{name: value}).make())
    assert not (tmp_path / "backups").exists()


def test_backups_are_kept_for_as_long_as_certificates_say() -> None:
    promised = {name: field.default for name, field in IdentitySettings.model_fields.items()}
    assert (promised["backup_days"], promised["keyring_backup_days"]) == (DAYS, KEYRING_DAYS)


async def test_role_of_backups_reads_every_row_and_writes_none(
    platform: Platform, backups: Callable[..., Backups]
) -> None:
    backups()
    connection = await platform.connect_as_admin()
    try:
        await connection.execute("SET ROLE backup")
        assert await connection.fetchval("SELECT count(*) FROM identity.users") == 0
        for statement in (
            "DELETE FROM identity.users",
            "INSERT INTO storage.feed_positions VALUES ('x', 1)",
            "CREATE SCHEMA mine",
        ):
            with pytest.raises(Exception, match="permission denied"):
                await connection.execute(statement)
    finally:
        await connection.close()

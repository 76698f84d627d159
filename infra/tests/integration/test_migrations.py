"""Migrations taken back and made again, and what a developer sees of them."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from chassis import migrations as of_services
from cluster import env_file, migrations
from cluster.bootstrap.postgres import prepare_postgres
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.members import SCHEMAS
from support.platform import Platform

WALKED, WALKED_KEYRING = "walked", "walked_keyring"
RIGHTS = "ARRAY(SELECT right_::text FROM aclexplode({}) AS right_ ORDER BY 1)"
# Everything that a migration can make: with its definition, its owner and who may do what with it.
CATALOGUE = f"""
    SELECT 'relation', c.relkind::text, c.relname::text, '',
        concat_ws(' ', pg_get_userbyid(c.relowner), c.relrowsecurity),
        {RIGHTS.format("coalesce(c.relacl, acldefault('r', c.relowner))")}
    FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relname NOT LIKE 'alembic%'
        AND c.relkind IN ('r', 'v', 'm', 'p')
    UNION ALL
    SELECT 'column', (row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum))::text, c.relname, a.attname,
        concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
            a.attgenerated, pg_get_expr(d.adbin, d.adrelid)), {RIGHTS.format("a.attacl")}
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = $1::regnamespace AND c.relname NOT LIKE 'alembic%'
        AND c.relkind IN ('r', 'v', 'm', 'p')
    UNION ALL
    SELECT 'constraint', n.contype::text, n.conrelid::regclass::text, n.conname,
        pg_get_constraintdef(n.oid), NULL
    FROM pg_constraint n WHERE n.connamespace = $1::regnamespace AND n.conname NOT LIKE 'alembic%'
    UNION ALL
    SELECT 'index', 'i', i.indrelid::regclass::text, '', pg_get_indexdef(i.indexrelid), NULL
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = $1::regnamespace AND c.relname NOT LIKE 'alembic%'
    UNION ALL
    SELECT 'sequence', 'S', c.relname, '', concat_ws(' ', q.seqtypid::regtype, q.seqstart, q.seqincrement,
            q.seqmin, q.seqmax, q.seqcache, q.seqcycle, pg_get_userbyid(c.relowner)),
        {RIGHTS.format("coalesce(c.relacl, acldefault('s', c.relowner))")}
    FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid WHERE c.relnamespace = $1::regnamespace
    UNION ALL
    SELECT 'function', p.prokind::text, p.proname, pg_get_userbyid(p.proowner), pg_get_functiondef(p.oid),
        {RIGHTS.format("coalesce(p.proacl, acldefault('f', p.proowner))")}
    FROM pg_proc p WHERE p.pronamespace = $1::regnamespace
    UNION ALL
    SELECT 'trigger', 't', t.tgrelid::regclass::text, t.tgname, pg_get_triggerdef(t.oid), NULL
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = $1::regnamespace AND NOT t.tgisinternal
    UNION ALL
    SELECT 'type', y.typtype::text, y.typname, '', format_type(y.oid, NULL), NULL
    FROM pg_type y WHERE y.typnamespace = $1::regnamespace AND y.typtype IN ('e', 'd', 'r')
"""


@pytest.fixture
def layout(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Return a cluster whose databases are new; the tests of services keep theirs as they are."""
    monkeypatch.setattr(migrations, "DATABASE", WALKED)
    monkeypatch.setattr(migrations, "KEYRING_DATABASE", WALKED_KEYRING)
    # Alembic's paths are relative to the service, so the commands go there.
    monkeypatch.chdir(tmp_path)
    asyncio.run(_new_databases(platform))
    env_file.ensure(tmp_path / ".env", given=dict(platform.servers.values))
    return Layout(Layout.of().checkout, tmp_path, tmp_path / "var")


async def _new_databases(platform: Platform) -> None:
    admin = await platform.connect_as_admin()
    try:
        for name in (WALKED, WALKED_KEYRING):
            await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    finally:
        await admin.close()
    servers = platform.servers
    await prepare_postgres(
        servers.postgres_dsn, servers.role_passwords, database=WALKED, keyring_database=WALKED_KEYRING
    )


def history(platform: Platform, schema: str) -> Config:
    services = Layout.of().checkout / "services"
    folder = "storage/keyring/migrations" if schema == "keyring" else f"{schema}/migrations"
    database = WALKED_KEYRING if schema == "keyring" else WALKED
    return of_services.alembic_config(
        services / folder, platform.servers.database_url(f"{schema}_owner", database)
    )


def catalogue(platform: Platform, schema: str) -> list[str]:
    """Return what the schema consists of, one line per thing, in an order that no history has a part in."""

    async def read() -> list[asyncpg.Record]:
        connection = await platform.connect_as_admin(WALKED_KEYRING if schema == "keyring" else WALKED)
        try:
            return await connection.fetch(CATALOGUE, schema)
        finally:
            await connection.close()

    return sorted(" | ".join(str(part) for part in row.values()) for row in asyncio.run(read()))


@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize("schema", SCHEMAS)
def test_each_migration_is_taken_back_to_what_was_there_before(platform: Platform, schema: str) -> None:
    config = history(platform, schema)
    newest_first = [step.revision for step in ScriptDirectory.from_config(config).walk_revisions()]
    on_the_way_up = {"base": catalogue(platform, schema)}
    for revision in reversed(newest_first):
        command.upgrade(config, revision)
        on_the_way_up[revision] = catalogue(platform, schema)
    assert on_the_way_up["base"] == []
    assert all(on_the_way_up[revision] for revision in newest_first)

    for revision, before in zip(newest_first, [*newest_first[1:], "base"], strict=True):
        command.downgrade(config, "-1")
        assert catalogue(platform, schema) == on_the_way_up[before], f"{revision} taken back"
        command.upgrade(config, "+1")
        assert catalogue(platform, schema) == on_the_way_up[revision], f"{revision} made again"
        command.downgrade(config, "-1")

    command.upgrade(config, "head")
    assert catalogue(platform, schema) == on_the_way_up[newest_first[0]]
    command.downgrade(config, "base")
    assert catalogue(platform, schema) == []
    command.upgrade(config, "head")
    assert catalogue(platform, schema) == on_the_way_up[newest_first[0]]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_status_shows_the_version_of_the_database(
    platform: Platform, layout: Layout, schema: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command.upgrade(history(platform, schema), "head")

    migrations.show(layout, schema)

    assert "(head) (current)" in capsys.readouterr().out


def test_developer_takes_migrations_back_and_reads_what_that_destroyed(
    platform: Platform, layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    config = history(platform, "consent")
    command.upgrade(config, "0002")

    migrations.downgrade(layout, "consent", "-1")

    told = capsys.readouterr().out
    assert told.startswith("consent 0002, ")
    assert "destroys the ledger" in told
    migrations.show(layout, "consent")
    assert "<base> -> 0001 (current)" in capsys.readouterr().out


def test_unknown_schema_is_answered_with_the_known_ones(layout: Layout) -> None:
    with pytest.raises(ClusterError, match="identity, consent, storage, keyring"):
        migrations.show(layout, "photos")


def test_new_migrations_can_be_taken_back() -> None:
    for template in Layout.of().checkout.glob("services/*/**/script.py.mako"):
        assert "def downgrade()" in template.read_text(), template

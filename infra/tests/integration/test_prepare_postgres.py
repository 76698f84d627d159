"""What the bootstrap job leaves in PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from cluster.bootstrap import Bootstrap, prepare_postgres
from cluster.errors import ClusterError
from native.environment import process_environment
from support.servers import RunningServers

Connect = Callable[..., Awaitable["asyncpg.Connection[asyncpg.Record]"]]


@pytest.fixture
async def connect(servers: RunningServers, prepared_database: str) -> AsyncIterator[Connect]:
    opened = []

    async def as_role(role: str, database: str = prepared_database) -> "asyncpg.Connection[asyncpg.Record]":
        host, port = servers.network.postgres.split(":")
        connection = await asyncpg.connect(
            host=host, port=int(port), user=role, password=servers.role_passwords[role], database=database
        )
        opened.append(connection)
        return connection

    yield as_role
    for connection in opened:
        await connection.close()


@pytest.fixture
async def with_tables(connect: Connect) -> Connect:
    for schema in ("identity", "consent", "storage"):
        owner = await connect(f"{schema}_owner")
        await owner.execute("CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY, name text)")
    return connect


@pytest.mark.parametrize(
    ("role", "foreign"),
    [
        ("consent_app", "identity"),
        ("identity_app", "storage"),
        ("storage_app", "consent"),
        ("consent_owner", "identity"),
    ],
)
async def test_role_cannot_read_the_schema_of_another_service(
    role: str, foreign: str, with_tables: Connect
) -> None:
    connection = await with_tables(role)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch(f"SELECT * FROM {foreign}.things")


async def test_app_reads_and_writes_rows_of_its_own_schema(with_tables: Connect) -> None:
    app = await with_tables("consent_app")

    await app.execute("INSERT INTO things (name) VALUES ('a')")
    await app.execute("UPDATE things SET name = 'b'")

    assert await app.fetchval("SELECT name FROM consent.things") == "b"
    assert await app.execute("DELETE FROM things") == "DELETE 1"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE consent.more (id int)",
        "ALTER TABLE consent.things ADD COLUMN extra int",
        "DROP TABLE consent.things",
        "TRUNCATE consent.things",
        "CREATE TABLE public.more (id int)",
        "CREATE SCHEMA more",
        "CREATE TEMPORARY TABLE more (id int)",
        "CREATE ROLE more",
        "SET ROLE consent_owner",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
async def test_app_cannot_change_the_shape_of_anything(statement: str, with_tables: Connect) -> None:
    app = await with_tables("consent_app")

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(statement)


@pytest.mark.parametrize("role", ["identity_app", "storage_app", "consent_owner"])
async def test_only_the_keyring_roles_reach_the_keyring(
    role: str, connect: Connect, prepared_database: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connect(role, f"{prepared_database}_keyring")


@pytest.mark.parametrize("role", ["keyring_app", "keyring_owner"])
async def test_keyring_roles_reach_nothing_else(role: str, connect: Connect, prepared_database: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connect(role)
    keyring = await connect(role, f"{prepared_database}_keyring")

    assert await keyring.fetchval("SHOW search_path") == "keyring"


async def test_service_roles_cannot_connect_to_the_maintenance_database(connect: Connect) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connect("identity_app", "postgres")


async def test_slow_statement_of_an_app_ends_after_five_seconds(connect: Connect) -> None:
    app = await connect("identity_app")

    assert await app.fetchval("SHOW statement_timeout") == "5s"
    assert await app.fetchval("SHOW lock_timeout") == "2s"
    assert await app.fetchval("SHOW idle_in_transaction_session_timeout") == "10s"


async def test_second_bootstrap_keeps_rows_and_takes_new_passwords(
    servers: RunningServers, prepared_database: str, with_tables: Connect, name: str
) -> None:
    app = await with_tables("identity_app")
    await app.execute("INSERT INTO things (name) VALUES ('kept')")
    again = {"database": prepared_database, "keyring_database": f"{prepared_database}_keyring"}

    try:
        await prepare_postgres(servers.postgres_dsn, servers.role_passwords | {"identity_app": name}, **again)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await with_tables("identity_app")
    finally:
        await prepare_postgres(servers.postgres_dsn, servers.role_passwords, **again)

    reconnected = await with_tables("identity_app")
    assert await reconnected.fetchval("SELECT name FROM things") == "kept"


async def test_servers_with_the_data_of_another_cluster_are_named_in_a_sentence(
    servers: RunningServers,
) -> None:
    environment = process_environment(servers.values, "bootstrap")
    others = {
        "POSTGRES_ADMIN_PASSWORD": "of-another-cluster",
        "RABBITMQ_ADMIN_PASSWORD": "of-another-cluster",
    }

    with pytest.raises(ClusterError) as refused:
        await Bootstrap(environment | others).run()

    assert "PostgreSQL refuses POSTGRES_ADMIN_PASSWORD" in str(refused.value)
    assert "RabbitMQ refuses" in str(refused.value)

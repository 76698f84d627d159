"""Roles, databases, schemas and rights in PostgreSQL; harmless when repeated."""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

from cluster.members import DATABASE_SERVICES, FURTHER_SCHEMAS

CONNECT_SECONDS = 10
BACKUP_ROLE = "backup"
"""The role that reads everything and writes nothing; only backups are made with it."""
# Any constant will do: it keeps two bootstrap jobs from creating the same role at once.
LOCK = 0x69726973
SCRAM_ITERATIONS = 4096
SALT_BYTES = 16

# Values and reasons: a request must not hold a connection for longer than its caller waits.
APP_SETTINGS = {
    "statement_timeout": "5s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
}
# A migration may build an index, but must not queue behind a long transaction with everybody behind it.
OWNER_SETTINGS = {
    "statement_timeout": "60s",
    "lock_timeout": "4s",
    "idle_in_transaction_session_timeout": "60s",
}


@dataclass(frozen=True)
class Schema:
    """One schema with its two roles; the owner migrates, the app reads and writes rows."""

    name: str
    database: str

    @property
    def owner(self) -> str:
        """The role that owns and migrates it."""
        return f"{self.name}_owner"

    @property
    def app(self) -> str:
        """The role that reads and writes its rows."""
        return f"{self.name}_app"


def schemas(database: str = "irisvue", keyring_database: str = "keyring") -> tuple[Schema, ...]:
    """All schemas; the keys of people have a database of their own, whose backups are kept for days only."""
    shared = tuple(Schema(name, database) for name in DATABASE_SERVICES)
    return (*shared, *(Schema(name, keyring_database) for name in FURTHER_SCHEMAS))


async def prepare_postgres(
    admin_dsn: str,
    passwords: Mapping[str, str],
    *,
    database: str = "irisvue",
    keyring_database: str = "keyring",
) -> None:
    """Create what is missing and set every password and right anew.

    `admin_dsn` is a superuser's; `passwords` maps each role (`identity_owner`, `identity_app`, …, `backup`)
    to its own.
    """
    planned = schemas(database, keyring_database)
    maintenance = await asyncpg.connect(admin_dsn, timeout=CONNECT_SECONDS)
    try:
        await maintenance.execute("SELECT pg_advisory_lock($1)", LOCK)
        for schema in planned:
            for role in (schema.owner, schema.app):
                await _prepare_role(maintenance, role, passwords[role])
        await _prepare_role(maintenance, BACKUP_ROLE, passwords[BACKUP_ROLE])
        await maintenance.execute(f"GRANT pg_read_all_data TO {BACKUP_ROLE}")
        await maintenance.execute("REVOKE ALL ON DATABASE postgres FROM PUBLIC")
        for name in dict.fromkeys(schema.database for schema in planned):
            own = [schema for schema in planned if schema.database == name]
            await _prepare_database(maintenance, name, own)
            connection = await asyncpg.connect(admin_dsn, database=name, timeout=CONNECT_SECONDS)
            try:
                await _prepare_schemas(connection, own)
            finally:
                await connection.close()
    finally:
        await maintenance.close()


async def _prepare_role(connection: asyncpg.Connection, role: str, password: str) -> None:
    if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
        await connection.execute(f"CREATE ROLE {role}")
    if await _has_password(connection, role, password):
        return
    await connection.execute(
        f"ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS "
        f"PASSWORD '{_scram_verifier(password, os.urandom(SALT_BYTES))}'"
    )


async def _has_password(connection: asyncpg.Connection, role: str, password: str) -> bool:
    stored = await connection.fetchval(
        "SELECT rolpassword FROM pg_authid WHERE rolname = $1 AND rolcanlogin", role
    )
    if not stored or not stored.startswith("SCRAM-SHA-256$"):
        return False
    salt = base64.b64decode(stored.split("$")[1].split(":")[1])
    return hmac.compare_digest(stored, _scram_verifier(password, salt))


def _scram_verifier(password: str, salt: bytes) -> str:
    """Return what PostgreSQL stores (RFC 5803): computed here, no log can ever hold the password."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


async def _prepare_database(connection: asyncpg.Connection, name: str, own: list[Schema]) -> None:
    quoted = _quote(name)
    if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
        await connection.execute(f"CREATE DATABASE {quoted}")
    statements = [f"REVOKE ALL ON DATABASE {quoted} FROM PUBLIC"]
    statements.append(f"GRANT CONNECT ON DATABASE {quoted} TO {BACKUP_ROLE}")
    for schema in own:
        statements.append(f"GRANT CONNECT ON DATABASE {quoted} TO {schema.owner}, {schema.app}")
        for role, settings in ((schema.owner, OWNER_SETTINGS), (schema.app, APP_SETTINGS)):
            for setting, value in ({"search_path": schema.name} | settings).items():
                statements.append(f"ALTER ROLE {role} IN DATABASE {quoted} SET {setting} = '{value}'")
    await connection.execute(";\n".join(statements))


async def _prepare_schemas(connection: asyncpg.Connection, own: list[Schema]) -> None:
    statements = ["REVOKE ALL ON SCHEMA public FROM PUBLIC"]
    for schema in own:
        rights = f"ALTER DEFAULT PRIVILEGES FOR ROLE {schema.owner} IN SCHEMA {schema.name}"
        statements += [
            f"CREATE SCHEMA IF NOT EXISTS {schema.name} AUTHORIZATION {schema.owner}",
            f"REVOKE ALL ON SCHEMA {schema.name} FROM PUBLIC",
            f"GRANT USAGE ON SCHEMA {schema.name} TO {schema.app}",
            f"{rights} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {schema.app}",
            f"{rights} GRANT USAGE, SELECT ON SEQUENCES TO {schema.app}",
            f"{rights} GRANT EXECUTE ON FUNCTIONS TO {schema.app}",
            # This one can't be limited to a schema: PUBLIC may execute new functions by a global default.
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {schema.owner} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
        ]
    await connection.execute(";\n".join(statements))


def _quote(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'

"""Pytest plugin: the prepared servers as services meet them: roles, schemas, topology, bucket, migrations."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import aiohttp
import asyncpg
import pytest
from redis.asyncio import Redis

from chassis.incarnation import incarnation_sql
from cluster.bootstrap.postgres import prepare_postgres
from cluster.bootstrap.rabbitmq import prepare_rabbitmq
from cluster.bootstrap.s3 import JOURNAL_DAYS, prepare_bucket
from cluster.environment import DATABASE, KEYRING_DATABASE, VHOST
from contracts.registry import JOURNAL_BUCKET, MEMBERS
from contracts.topology import queues
from native.environment import service_environment
from support.gateway import Proof, gateway_proof
from support.running import RunningServers

_LARGE_BYTES = 1024 * 1024
_TABLES = """
    SELECT c.oid::regclass::text AS name, pg_relation_size(c.oid) > $2 OR c.reltuples >= 0 AS anew
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY($1::text[]) AND c.relkind = 'r'
        AND c.relname NOT LIKE 'alembic_version%' AND c.relname <> 'journal_head'
        AND pg_relation_size(c.oid) > 0
"""


async def empty_schemas(connection: asyncpg.Connection, *schemas: str) -> None:
    """Empty every table of these schemas, as a superuser; no trigger fires.

    Left is how far the schema knows the erasure journal, which keeps what tests have written there.

    A few rows are deleted, two hundred times as fast as tables are truncated, which makes new files for each.
    A table that the server has counted is made anew: it must not be taken for an empty one when it is full.
    """
    tables = await connection.fetch(_TABLES, schemas, _LARGE_BYTES)
    statements = ["SET session_replication_role = replica"]
    statements += [f"DELETE FROM {table['name']}" for table in tables if not table["anew"]]
    statements += [f"TRUNCATE {table['name']} CASCADE" for table in tables if table["anew"]]
    await connection.execute("; ".join(statements))


def noted_as_current(schema: str) -> str:
    """Return the statement that lets a schema open without its worker."""
    table = f"{schema}.journal_head"
    return (
        f"INSERT INTO {table} (incarnation) VALUES ({incarnation_sql(table)})"
        " ON CONFLICT (one) DO UPDATE SET incarnation = excluded.incarnation"
    )


class Platform:
    """The servers of a test session, prepared by the same job that prepares a cluster."""

    def __init__(self, servers: RunningServers) -> None:
        self.servers = servers
        self._migrated: set[str] = set()

    def environment(self, service: str) -> dict[str, str]:
        """Return the variables of a service's processes, the owner's addresses included."""
        return service_environment(self.servers.values, service, migrates=True)

    @contextmanager
    def variables_of(self, service: str) -> Iterator[None]:
        """Put a service's variables into this process, for as long as its settings are read."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment(service).items():
                patch.setenv(name, value)
            yield

    def migrate(self, service: str) -> None:
        """Bring a service's schema to its newest version, once per session."""
        if service in self._migrated:
            return
        subprocess.run(
            [sys.executable, "-m", service, "migrate"],
            env={**os.environ, **self.environment(service)},
            check=True,
            timeout=60,
        )
        with ThreadPoolExecutor(1) as aside:
            # Whoever asks may be on a loop of its own.
            aside.submit(asyncio.run, self.take_for_current(service)).result()
        self._migrated.add(service)

    async def take_for_current(self, service: str) -> None:
        """Note in each schema of a service that it knows the erasure journal, as its worker does."""
        for database, schema in (
            (DATABASE, service),
            *((KEYRING_DATABASE, schema) for schema in MEMBERS[service].further_schemas),
        ):
            connection = await self.connect_as_admin(database)
            try:
                await connection.execute(noted_as_current(schema))
            finally:
                await connection.close()

    def gateway_proof(self, service: str) -> Proof:
        """Return a function that makes the gateway's token for a service, as its public routes ask for it."""
        return gateway_proof(self.servers.values["GATEWAY_SERVICE_KEY"], service)

    async def clean(self, service: str) -> None:
        """Empty every table of a service, in each of its schemas."""
        await self._empty(DATABASE, service)
        for schema in MEMBERS[service].further_schemas:
            await self._empty(KEYRING_DATABASE, schema)

    async def forget_counts(self) -> None:
        """Empty Redis, so that no test meets the limits that another one has used up."""
        async with Redis.from_url(self.servers.redis_url) as redis:
            await redis.flushall()

    async def purge_queues(self) -> None:
        """Empty every queue, dead letters too."""
        headers = {"Authorization": aiohttp.encode_basic_auth(*self.servers.rabbitmq_admin)}
        async with aiohttp.ClientSession(headers=headers) as session:
            for queue in queues():
                url = f"{self.servers.management_url}/api/queues/{VHOST}/{queue.name}/contents"
                async with session.delete(url) as answer:
                    answer.raise_for_status()

    async def _empty(self, database: str, schema: str) -> None:
        connection = await self.connect_as_admin(database)
        try:
            await empty_schemas(connection, schema)
        finally:
            await connection.close()

    async def connect_as_admin(self, database: str = DATABASE) -> asyncpg.Connection:
        """Return a superuser's connection, for looking at what services may not see."""
        dsn = self.servers.postgres_dsn.rsplit("/", 1)[0]
        return await asyncpg.connect(f"{dsn}/{database}", timeout=5)


async def prepared(servers: RunningServers) -> Platform:
    """Return the servers with everything on them that a cluster's own have."""
    await asyncio.gather(
        prepare_postgres(servers.postgres_dsn, servers.role_passwords),
        prepare_rabbitmq(servers.management_url, servers.rabbitmq_admin, servers.broker_passwords),
        *(
            prepare_bucket(
                servers.s3_endpoint, servers.s3_admin, bucket=it.bucket, keeps_versions=it.keeps_versions
            )
            for it in MEMBERS.values()
            if it.bucket
        ),
        prepare_bucket(
            servers.s3_endpoint, servers.s3_admin, bucket=JOURNAL_BUCKET, locks_for_days=JOURNAL_DAYS
        ),
    )
    return Platform(servers)


@pytest.fixture(scope="session")
def platform(servers: RunningServers) -> Platform:
    """Prepare the servers once per session."""
    return asyncio.run(prepared(servers))

"""Pytest plugin: the prepared servers as services meet them: roles, schemas, topology, bucket, migrations."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import asyncpg
import pytest
from redis.asyncio import Redis

from cluster.bootstrap.postgres import prepare_postgres
from cluster.bootstrap.rabbitmq import prepare_rabbitmq
from cluster.bootstrap.s3 import prepare_bucket
from cluster.environment import DATABASE, KEYRING_DATABASE, VHOST
from contracts.registry import MEMBERS
from contracts.topology import queues
from native.environment import service_environment
from support.gateway import Proof, gateway_proof
from support.running import RunningServers

_TABLES = """
    SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname = $1 AND tablename NOT LIKE 'alembic_version%'
"""


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
        self._migrated.add(service)

    def gateway_proof(self, service: str) -> Proof:
        """Return a function that makes the gateway's token for a service, as its public routes ask for it."""
        return gateway_proof(self.servers.values["GATEWAY_SERVICE_KEY"], service)

    async def clean(self, service: str) -> None:
        """Empty every table of a service, in each of its schemas."""
        await self._truncate(DATABASE, service)
        for schema in MEMBERS[service].further_schemas:
            await self._truncate(KEYRING_DATABASE, schema)

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

    async def _truncate(self, database: str, schema: str) -> None:
        connection = await self.connect_as_admin(database)
        try:
            tables = [row[0] for row in await connection.fetch(_TABLES, schema)]
            if tables:
                await connection.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
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
        prepare_bucket(servers.s3_endpoint, servers.s3_admin),
    )
    return Platform(servers)


@pytest.fixture(scope="session")
def platform(servers: RunningServers) -> Platform:
    """Prepare the servers once per session."""
    return asyncio.run(prepared(servers))

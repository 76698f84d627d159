"""A scratch database with the chassis' tables in two schemas, and the real broker."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aio_pika
import aiohttp
import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import Boolean, Column, Integer, MetaData, String, Table, UniqueConstraint, Uuid, func, text
from sqlalchemy.ext.asyncio import create_async_engine
from yarl import URL

from chassis.broker import BrokerConnection, EventPublisher, consume
from chassis.consumer import Consumer, Handler, Inbound
from chassis.db import Database
from chassis.ids import new_id
from chassis.tables import Moment, lease_check, lease_columns, service_metadata
from cluster.bootstrap.postgres import APP_SETTINGS
from cluster.bootstrap.s3 import prepare_bucket
from cluster.environment import ADMIN, VHOST
from contracts.envelope import Event, wrap
from contracts.identity import UserDeleted
from contracts.topology import EXCHANGE, policies, queues
from support import eventually
from support.free_ports import free_port
from support.platform import Platform, empty_schemas, noted_as_current
from support.proxy import FaultyProxy

DATABASE = "chassis_scratch"
ROLE = "chassis_app"
PASSWORD = "chassis-scratch-password"
# Named like the services whose broker users publish and consume in these tests.
SCHEMAS = ("identity", "consent")
TOMBSTONE_KEY = bytes(range(32))
# The schemas of these tests have names of services, which have journals of their own.
JOURNAL_BUCKET = "chassis-journal"


def with_effects(metadata: MetaData) -> Table:
    """Add what a handler of these tests writes: nothing in it prevents doubles, so that they show."""
    Table(
        "promises",
        metadata,
        Column("number", Integer, nullable=False),
        UniqueConstraint("number", deferrable=True, initially="DEFERRED"),
    )
    Table(
        "chores",
        metadata,
        Column("kind", String(20), primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("created_at", Moment, nullable=False, server_default=func.clock_timestamp()),
        Column("done", Boolean, nullable=False, server_default=text("false")),
        *lease_columns(),
        Column("last_error", String(200)),
        lease_check(),
    )
    return Table("effects", metadata, Column("event_id", Uuid, nullable=False), Column("note", String(200)))


EFFECTS = {schema: with_effects(service_metadata(schema)) for schema in SCHEMAS}


@dataclass(frozen=True)
class Scratch:
    """A database of these tests' own, and the role that writes in it with a service's limits."""

    platform: Platform

    def url(self, *, via: FaultyProxy | None = None) -> str:
        """Return the role's URL, through a proxy if one is given."""
        server = self.platform.servers.network.postgres if via is None else f"127.0.0.1:{via.port}"
        return f"postgresql+asyncpg://{ROLE}:{PASSWORD}@{server}/{DATABASE}"

    async def execute(self, *statements: str) -> None:
        """Run statements as a superuser, in the scratch database."""
        connection = await self.connect()
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def connect(self) -> asyncpg.Connection:
        """Return a superuser's connection to the scratch database."""
        return await self.platform.connect_as_admin(DATABASE)

    async def create(self) -> None:
        """Create role, database, schemas, tables and the bucket of their journals anew."""
        servers = self.platform.servers
        await prepare_bucket(
            servers.s3_endpoint, servers.s3_admin, bucket=JOURNAL_BUCKET, keeps_versions=True
        )
        server = await self.platform.connect_as_admin("postgres")
        try:
            await server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
            await server.execute(f"DROP ROLE IF EXISTS {ROLE}")
            await server.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
            for name, value in APP_SETTINGS.items():
                await server.execute(f"ALTER ROLE {ROLE} SET {name} = '{value}'")
            await server.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        finally:
            await server.close()
        engine = create_async_engine(self.url())
        async with engine.begin() as connection:
            for schema, effects in EFFECTS.items():
                await connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
                await connection.run_sync(effects.metadata.create_all)
                await connection.exec_driver_sql(noted_as_current(schema))
        await engine.dispose()

    async def clean(self) -> None:
        """Empty every table."""
        connection = await self.connect()
        try:
            await empty_schemas(connection, *EFFECTS)
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def prepared_scratch(platform: Platform) -> Scratch:
    scratch = Scratch(platform)
    asyncio.run(scratch.create())
    return scratch


@pytest.fixture
async def scratch(prepared_scratch: Scratch) -> Scratch:
    """Return the scratch database, empty."""
    await prepared_scratch.clean()
    return prepared_scratch


OpenDatabase = Callable[..., Database]


@pytest.fixture
async def open_database(scratch: Scratch) -> AsyncIterator[OpenDatabase]:
    """Return a function that opens one schema of the scratch database; it is closed after the test."""
    opened: list[Database] = []

    def open_one(
        schema: str, *, via: FaultyProxy | None = None, url: str | None = None, **options: Any
    ) -> Database:
        options = {"tombstone_key": TOMBSTONE_KEY, **options}
        database = Database(SecretStr(url or scratch.url(via=via)), schema=schema, **options)
        opened.append(database)
        return database

    yield open_one
    for database in opened:
        await database.close()


@pytest.fixture
async def database_proxy(scratch: Scratch) -> AsyncIterator[FaultyProxy]:
    """Return a faulty network before PostgreSQL, for `open_database(…, via=…)`."""
    host, port = scratch.platform.servers.network.postgres.split(":")
    async with FaultyProxy(host, int(port)) as proxy:
        yield proxy


@pytest.fixture
def sender(open_database: OpenDatabase) -> Database:
    """Return the schema of the service that publishes."""
    return open_database("identity")


@pytest.fixture
def hearer(open_database: OpenDatabase) -> Database:
    """Return the schema of the service that consumes."""
    return open_database("consent")


@pytest.fixture
def rows(scratch: Scratch) -> Callable[..., Any]:
    """Return a function that lists the rows of a table: `await rows("identity.outbox")`."""

    async def all_rows(table: str) -> list[dict[str, Any]]:
        connection = await scratch.connect()
        try:
            return [dict(row) for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY 1")]
        finally:
            await connection.close()

    return all_rows


def user_deleted(user_id: UUID | None = None) -> UserDeleted:
    now = datetime.now(UTC)
    return UserDeleted(
        user_id=user_id or new_id(),
        erasure_id=new_id(),
        requested_at=now,
        deadline=now + timedelta(days=30),
    )


@pytest.fixture
def an_event() -> Callable[..., UserDeleted]:
    """Return a function that makes an event about a person: `an_event(user_id=None)`."""
    return user_deleted


@pytest.fixture
def body_of() -> Callable[..., bytes]:
    """Return a function that makes the message of an event: `body_of(event, event_id=None)`."""

    def body(event: Event, event_id: UUID | None = None) -> bytes:
        return wrap(event, event_id=event_id or new_id(), time=datetime.now(UTC)).to_json()

    return body


@pytest.fixture
def chores_table() -> Table:
    """Return a work table of the service that consumes."""
    return EFFECTS["consent"].metadata.tables["consent.chores"]


@dataclass(frozen=True)
class Broker:
    """The real broker, as an operator sees it."""

    platform: Platform

    def url(self, user: str, *, via: FaultyProxy | None = None) -> str:
        url = self.platform.servers.broker_url(user, VHOST)
        server = self.platform.servers.network.amqp
        return url if via is None else url.replace(server, f"127.0.0.1:{via.port}")

    def proxy(self) -> FaultyProxy:
        host, port = self.platform.servers.network.amqp.split(":")
        return FaultyProxy(host, int(port))

    async def purge(self) -> None:
        await asyncio.gather(
            *(self._manage("DELETE", "queues", VHOST, queue.name, "contents") for queue in queues())
        )

    async def bind(self, queue: str, event_type: str) -> None:
        await self._manage(
            "POST", "bindings", VHOST, "e", EXCHANGE, "q", queue, json={"routing_key": event_type}
        )

    async def unbind(self, queue: str, event_type: str) -> None:
        await self._manage("DELETE", "bindings", VHOST, "e", EXCHANGE, "q", queue, event_type)

    async def set_policy(self, queue: str, definition: dict[str, Any]) -> None:
        policy = {"pattern": f"^{queue}$", "definition": definition, "apply-to": "queues", "priority": 0}
        await self._manage("PUT", "policies", VHOST, queue, json=policy)

    async def restore_policy(self, queue: str) -> None:
        (policy,) = (policy for policy in policies() if policy.name == queue)
        await self.set_policy(queue, policy.definition)

    async def bring_back_after(self, milliseconds: int) -> None:
        """Let what consumers put off wait for that long."""
        (policy,) = (policy for policy in policies() if policy.name == "later")
        body = {
            "pattern": policy.pattern,
            "definition": policy.definition | {"message-ttl": milliseconds},
            "apply-to": "queues",
            "priority": 0,
        }
        await self._manage("PUT", "policies", VHOST, policy.name, json=body)

    async def drain(self, queue: str) -> list[aio_pika.abc.AbstractIncomingMessage]:
        """Take every message that is ready out of a queue."""
        messages = []
        async with await aio_pika.connect(self.url(ADMIN)) as connection, connection.channel() as channel:
            source = await channel.get_queue(queue)
            while message := await source.get(no_ack=True, fail=False):
                messages.append(message)
        return messages

    async def send(self, queue: str, *bodies: bytes) -> None:
        """Put messages straight into a queue, as an operator does who moves dead letters back."""
        async with await aio_pika.connect(self.url(ADMIN)) as connection, connection.channel() as channel:
            publish = channel.default_exchange.publish
            await asyncio.gather(*(publish(aio_pika.Message(body), routing_key=queue) for body in bodies))

    async def publish_as(self, user: str, routing_key: str, body: bytes) -> None:
        """Publish as a service's user does, with a routing key that the test chooses."""
        async with await aio_pika.connect(self.url(user)) as connection, connection.channel() as channel:
            exchange = await channel.get_exchange(EXCHANGE, ensure=False)
            await exchange.publish(aio_pika.Message(body), routing_key=routing_key)

    async def _manage(self, method: str, *path: str, json: Any = None) -> None:
        servers = self.platform.servers
        url = "/".join([servers.management_url, "api", *(quote(part, safe="") for part in path)])
        headers = {"Authorization": aiohttp.encode_basic_auth(*servers.rabbitmq_admin)}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, URL(url, encoded=True), json=json) as answer,
        ):
            answer.raise_for_status()


@pytest.fixture
async def broker(platform: Platform) -> AsyncIterator[Broker]:
    """Return the broker with empty queues, and leave them empty."""
    broker = Broker(platform)
    await broker.purge()
    yield broker
    await broker.purge()


@pytest.fixture
async def open_publisher(broker: Broker) -> AsyncIterator[Callable[..., Any]]:
    """Return a function that connects a publisher of identity: `await open_publisher(via=None)`."""
    opened: list[EventPublisher] = []

    async def open_one(*, via: FaultyProxy | None = None) -> EventPublisher:
        publisher = EventPublisher(broker.url("identity", via=via))
        opened.append(publisher)
        publisher.connect()

        async def connected() -> None:
            assert await publisher.is_connected()

        await eventually(connected)
        return publisher

    yield open_one
    for publisher in opened:
        await publisher.close()


WIDGET = Path(__file__).with_name("widget.py")
OWN_PORT = {"api": "WIDGET_PORT", "worker": "WIDGET_WORKER_PORT"}


@pytest.fixture
def journal_store(scratch: Scratch) -> dict[str, str]:
    """Return where the erasure journals of these tests lie."""
    servers = scratch.platform.servers
    access_key, secret_key = servers.s3_admin
    return {
        "endpoint_url": servers.s3_endpoint,
        "access_key": access_key,
        "secret_key": secret_key,
        "bucket": JOURNAL_BUCKET,
    }


@dataclass(frozen=True)
class WidgetProcess:
    """A running process of the widget, and its health."""

    process: asyncio.subprocess.Process
    url: str

    async def health(self, part: str) -> tuple[int, dict[str, Any]]:
        """Ask for a part of its health; AssertionError until the port answers."""
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"{self.url}/health/{part}") as answer:
                    return answer.status, await answer.json(content_type=None)
            except aiohttp.ClientError:
                if self.process.returncode is not None:
                    raise RuntimeError(f"it ended with {self.process.returncode}") from None
                raise AssertionError("the health port does not answer yet") from None

    async def is_alive(self) -> None:
        assert (await self.health("liveness"))[0] == HTTPStatus.OK

    async def is_ready(self) -> None:
        status, document = await self.health("readiness")
        assert status == HTTPStatus.OK, document

    async def end(self, number: int, seconds: float) -> tuple[int | None, list[dict[str, Any]]]:
        """Send a signal; return exit status and log lines."""
        self.process.send_signal(number)
        return await self.ended(seconds)

    async def ended(self, seconds: float) -> tuple[int | None, list[dict[str, Any]]]:
        """Wait for its end; return exit status and log lines."""
        output, _ = await asyncio.wait_for(self.process.communicate(), timeout=seconds)
        return self.process.returncode, [
            json.loads(line) for line in output.splitlines() if line.startswith(b"{")
        ]


@pytest.fixture
async def start(
    scratch: Scratch, broker: Broker, key: Any, journal_store: dict[str, str]
) -> AsyncIterator[Callable[..., Any]]:
    """Return a function that starts the widget's worker or API, whose servers may stand behind proxies."""
    started = []

    async def run(
        kind: str = "worker",
        *,
        broker_via: FaultyProxy | None = None,
        database_via: FaultyProxy | None = None,
        **more: str,
    ) -> WidgetProcess:
        port = free_port()
        settings = {
            **dict.fromkeys(OWN_PORT.values(), "0"),
            OWN_PORT[kind]: str(port),
            "WIDGET_SERVICE_KEY": key.pem.replace("\n", "\\n"),
            "WIDGET_SERVICE_PUBLIC_KEYS": "{}",
            "WIDGET_TOMBSTONE_KEY": TOMBSTONE_KEY.hex(),
            **{f"WIDGET_JOURNAL_{name.upper()}": value for name, value in journal_store.items()},
            "WIDGET_DATABASE_URL": scratch.url(via=database_via),
            "WIDGET_BROKER_URL": broker.url("consent", via=broker_via),
            **more,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(WIDGET),
            kind,
            env={**os.environ, **settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        started.append(process)
        return WidgetProcess(process, f"http://127.0.0.1:{port}")

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
async def take_from(broker: Broker, hearer: Database) -> AsyncIterator[Callable[..., Any]]:
    """Return a function that consumes a queue as a worker of its service does, until the test ends."""
    opened: list[BrokerConnection] = []

    async def begin(
        queue: str, handlers: dict[type[Event], Handler], *, via: FaultyProxy | None = None, **options: Any
    ) -> BrokerConnection:
        connection = BrokerConnection(broker.url(queue.split(".", maxsplit=1)[0], via=via))
        opened.append(connection)
        consume(connection.broker, queue, Inbound(hearer, Consumer(queue, handlers), **options).receive)
        connection.connect()

        async def consuming() -> None:
            assert await connection.is_connected()
            assert await connection.has_consumer(queue)

        await eventually(consuming)
        return connection

    yield begin
    for connection in opened:
        await connection.close()

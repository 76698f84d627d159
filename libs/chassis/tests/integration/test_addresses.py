"""Servers behind TLS, behind PgBouncer and behind several addresses, as the settings name them."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, text

from chassis.broker import BrokerConnection, BrokerUnavailable
from chassis.db import Database
from chassis.work_table import WorkTable
from cluster.progress import Silence
from cluster.secret_values import own_certificate
from native import accounts
from native.install import Tool, install
from support import eventually
from support.free_ports import free_port

PGBOUNCER = Tool("PgBouncer", "pgbouncer", "pgbouncer")
PGBOUNCER_PLACES = ("/usr/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer", "/usr/local/bin/pgbouncer")
QUEUE = "consent.erase-user"


@dataclass(frozen=True)
class Certificate:
    """A certificate that is its own authority, for 127.0.0.1, and its key in the same file."""

    path: Path

    @classmethod
    def made(cls, path: Path) -> "Certificate":
        path.write_text(own_certificate().replace("\\n", "\n"))
        path.chmod(0o644)
        return cls(path)


@pytest.fixture
def certificate(tmp_path):
    return Certificate.made(tmp_path / "ours.pem")


@pytest.fixture
def another_certificate(tmp_path):
    return Certificate.made(tmp_path / "another.pem")


@pytest.fixture
def pgbouncer():
    """Return the program; it is installed the way the servers are."""
    if not any(Path(place).exists() for place in PGBOUNCER_PLACES):
        install([PGBOUNCER], Silence())
    return next(place for place in PGBOUNCER_PLACES if Path(place).exists())


@dataclass(frozen=True)
class Pooler:
    """PgBouncer with two servers' connections behind it, and TLS before it."""

    port: int
    account: str

    def url(self, database: str, options: str) -> SecretStr:
        return SecretStr(f"postgresql+asyncpg://{self.account}@127.0.0.1:{self.port}/{database}?{options}")


@pytest.fixture
async def pooler(pgbouncer, scratch, certificate) -> AsyncIterator[Pooler]:
    """Run PgBouncer: `shared` lends connections by transaction, `own` for a session."""
    account = accounts.unprivileged_account()
    home = accounts.reachable_directory(certificate.path.parent / "pgbouncer", account, "pgbouncer")
    shutil.copy(certificate.path, home / "tls.pem")
    _, _, rest = scratch.url().partition("://")
    role, _, place = rest.partition("@")
    user, _, password = role.partition(":")
    server, _, database = place.partition("/")
    host, _, server_port = server.partition(":")
    port = free_port()
    target = f"host={host} port={server_port} dbname={database}"
    (home / "users.txt").write_text(f'"{user}" "{password}"\n')
    (home / "pgbouncer.ini").write_text(
        f"""
[databases]
shared = {target} pool_mode=transaction
own = {target} pool_mode=session
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {home}/users.txt
default_pool_size = 2
client_tls_sslmode = require
client_tls_cert_file = {home}/tls.pem
client_tls_key_file = {home}/tls.pem
"""
    )
    for path in home.iterdir():
        path.chmod(0o644)
    running = started(pgbouncer, home / "pgbouncer.ini", account)

    async def listening():
        assert running.poll() is None, running.stdout.read()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        await eventually(listening)
        yield Pooler(port, role)
    finally:
        running.kill()
        running.communicate()


def started(program, configuration, account):
    return subprocess.Popen(
        [program, str(configuration)],
        user=account,
        group=accounts.group_of(account) if account else None,
        extra_groups=[] if account else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.asynccontextmanager
async def opened(url, *, direct_url=None):
    database = Database(url, schema="consent", tombstone_key=bytes(32), direct_url=direct_url)
    try:
        yield database
    finally:
        await database.close()


async def write_and_read(database, numbers):
    """Write and read with statements that differ, so that none of a neighbour's would do."""
    for number in numbers:
        async with database.unit_of_work() as uow:
            await uow.session.execute(
                text(
                    "INSERT INTO consent.effects (event_id, note) "
                    f"VALUES (gen_random_uuid(), :n || '/{number % 7}')"
                ),
                {"n": str(number)},
            )
        async with database.read_only() as session:
            found = await session.scalar(
                text(f"SELECT count(*) + {number % 5} FROM consent.effects WHERE note = :note"),
                {"note": f"{number}/{number % 7}"},
            )
            assert found == 1 + number % 5


async def test_transactions_and_reads_share_two_connections_behind_pgbouncer(pooler, certificate, rows):
    tls = f"sslmode=verify-full&sslrootcert={certificate.path}"
    url = pooler.url("shared", f"{tls}&prepared_statement_cache_size=0")
    async with opened(url) as database:
        async with asyncio.TaskGroup() as tasks:
            for start in range(8):
                tasks.create_task(write_and_read(database, range(start * 25, start * 25 + 25)))
        await database.ping()
    assert len(await rows("consent.effects")) == 200


async def test_lease_taken_behind_pgbouncer_is_kept(pooler, certificate, chores_table):
    tls = f"sslmode=verify-full&sslrootcert={certificate.path}"
    async with opened(pooler.url("shared", f"{tls}&prepared_statement_cache_size=0")) as database:
        chores = WorkTable(database, chores_table)
        async with database.unit_of_work() as uow:
            await uow.session.execute(insert(chores_table).values(kind="sweep", number=1))
        (claimed,) = await chores.claim(5)
        assert await chores.claim(5) == []
        await chores.release([claimed])
        assert len(await chores.claim(5)) == 1


async def test_commit_behind_pgbouncer_wakes_who_listens_past_it(pooler, certificate):
    tls = f"sslmode=verify-full&sslrootcert={certificate.path}"
    pooled = pooler.url("shared", f"{tls}&prepared_statement_cache_size=0")
    direct = pooler.url("own", tls)
    async with opened(pooled, direct_url=direct) as database, opened(pooled, direct_url=direct) as writer:
        woken = database.notifications.event("chores")
        listening = asyncio.create_task(database.notifications.listen())

        async def it_is_woken():
            async with writer.unit_of_work() as uow:
                uow.wake("chores")
            async with asyncio.timeout(0.5):
                await woken.wait()

        async def it_hears():
            with contextlib.suppress(TimeoutError):
                await it_is_woken()
            assert woken.is_set()

        try:
            await eventually(it_hears, seconds=15)
        finally:
            listening.cancel()


async def test_server_whose_certificate_is_another_authoritys_is_refused(pooler, another_certificate):
    url = pooler.url("own", f"sslmode=verify-full&sslrootcert={another_certificate.path}")
    async with opened(url) as database:
        with pytest.raises(ssl.SSLCertVerificationError):
            await database.ping()


@contextlib.asynccontextmanager
async def connected(url, *, seconds=20):
    connection = BrokerConnection(url)
    connection.connect()

    async def it_is():
        assert await connection.is_connected()

    try:
        await eventually(it_is, seconds=seconds)
        yield connection
    finally:
        await connection.close()


def with_servers(url, *servers):
    account, _, rest = url.partition("@")
    return f"{account}@{','.join(servers)}/{rest.partition('/')[2]}"


async def test_dead_broker_is_passed_over_at_the_start_and_when_one_dies(broker):
    async with broker.proxy() as one, broker.proxy() as two:
        places = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{one.port}", f"127.0.0.1:{two.port}"]
        async with connected(with_servers(broker.url("consent"), *places)) as connection:
            for dead in (one, two):
                dead.cut(refusing=True)

                async def it_goes_on():
                    try:
                        assert await connection.messages_in(QUEUE) == 0
                    except BrokerUnavailable as error:
                        raise AssertionError("not connected again yet") from error

                await eventually(it_goes_on, seconds=20)
                dead.heal()


@contextlib.asynccontextmanager
async def behind_tls(server, certificate):
    """Put TLS before a server, on a port of its own."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.path)
    host, _, port = server.partition(":")

    async def forward(reader, writer):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader, writer):
        server_reader, server_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(forward(reader, server_writer), forward(server_reader, writer))

    async with await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context) as listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"


async def test_broker_behind_tls_is_known_by_its_authority(broker, certificate, another_certificate):
    plain = broker.url("consent")
    server = plain.partition("@")[2].partition("/")[0]
    async with behind_tls(server, certificate) as place:
        url = with_servers(plain, place).replace("amqp://", "amqps://")
        async with connected(f"{url}&cafile={certificate.path}") as connection:
            assert await connection.messages_in(QUEUE) == 0
        with pytest.raises(AssertionError):
            async with connected(f"{url}&cafile={another_certificate.path}", seconds=5):
                raise RuntimeError("a server of another authority was believed")

"""Yesterday's release beside today's, on one schema and one broker, in the middle of an upgrade.

The commit of yesterday's release stands in yesterday.txt; whoever releases writes theirs there.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from chassis.broker import BrokerConnection, EventPublisher, consume
from chassis.consumer import Consumer, Inbound
from chassis.db import Database, UnitOfWork
from chassis.ids import new_id
from chassis.service_auth import GATEWAY_TOKEN_HEADER
from cluster.environment import DATABASE, KEYRING_DATABASE, VHOST
from cluster.layout import Layout
from contracts import topology
from contracts.envelope import Envelope, wrap
from contracts.identity import UserVerified
from support import eventually
from support.free_ports import pick_free
from support.platform import Platform

CHECKOUT = Layout.of().checkout
COMMIT = Path(__file__).with_name("yesterday.txt").read_text().strip()
SERVICES = ("identity", "consent", "storage")
PROCESSES = (("identity", "api"), ("identity", "worker"), ("storage", "worker"))
PEOPLE = 4
QUEUE = "storage.open-keys"
OF_TODAY = "identity.user.renamed.v1"
# Six processes start side by side, on whatever else the machine does.
START_SECONDS = 120


class UserRenamed(UserVerified, type=OF_TODAY):
    """What only today's release knows."""


@dataclass(frozen=True)
class Release:
    """The code of one release, and what its processes have written."""

    sources: Path
    logs: Path
    variables: dict[str, str]

    def start(self, platform: Platform, service: str, name: str) -> subprocess.Popen[bytes]:
        """Start one process of this release with today's dependencies."""
        places = [self.sources / "libs" / library / "src" for library in ("chassis", "contracts")]
        places.append(self.sources / "services" / service / "src")
        environment = {
            **os.environ,
            **platform.environment(service),
            **self.variables,
            "PYTHONPATH": os.pathsep.join(map(str, places)),
        }
        with (self.logs / f"{service}-{name}.log").open("w") as output:
            return subprocess.Popen(
                [sys.executable, "-m", service, name], env=environment, stdout=output, stderr=output
            )

    def said(self) -> list[str]:
        """List every line that its processes have written."""
        return [line for log in sorted(self.logs.iterdir()) for line in log.read_text().splitlines()]


@contextlib.contextmanager
def all_ended() -> Iterator[list[subprocess.Popen[bytes]]]:
    """End all processes of the list in good order at the end of the block; none may have ended before."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        yield running
        assert [process.args for process in running if process.poll() is not None] == []
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(timeout=30)


def archived(place: Path) -> Path:
    """Unpack yesterday's sources; a history without them fails with what to do about it."""
    archive = place / "yesterday.tar"
    command = ["git", "archive", f"--output={archive}", COMMIT, "libs", "services"]
    made = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.fail(
            f"yesterday's release {COMMIT} is not in the history here: {made.stderr.strip()}. "
            "Fetch it (`git fetch --unshallow`), or name another commit in yesterday.txt."
        )
    with tarfile.open(archive) as files:
        files.extractall(place / "yesterday", filter="data")
    return place / "yesterday"


@pytest.fixture
def releases(tmp_path: Path) -> tuple[Release, Release]:
    """Return yesterday's release and today's; each has ports of its own."""
    found = []
    for name, sources in (("yesterday", archived(tmp_path)), ("today", CHECKOUT)):
        logs = tmp_path / f"logs-{name}"
        logs.mkdir()
        ports = pick_free(
            f"{service.upper()}_{port}" for service in SERVICES for port in ("PORT", "WORKER_PORT")
        )
        found.append(Release(sources, logs, {variable: str(port) for variable, port in ports.items()}))
    return found[0], found[1]


@pytest.fixture
async def stage(platform: Platform) -> AsyncIterator[Platform]:
    """Return the servers with today's schema and topology, empty, and what is put off back in a second."""
    await asyncio.gather(*(asyncio.to_thread(platform.migrate, service) for service in SERVICES))
    for service in SERVICES:
        await platform.clean(service)
    await platform.purge_queues()
    (later,) = (policy for policy in topology.policies() if policy.name == "later")
    await set_policy(platform, replace(later, definition=later.definition | {"message-ttl": 1000}))
    yield platform
    await set_policy(platform, later)
    await bind(platform, "DELETE", f"/{OF_TODAY}")
    await platform.purge_queues()
    for service in SERVICES:
        await platform.clean(service)


async def set_policy(platform: Platform, policy: topology.Policy) -> None:
    body = {"pattern": policy.pattern, "definition": policy.definition, "apply-to": policy.apply_to}
    await manage(platform, "PUT", f"policies/{VHOST}/{policy.name}", body)


async def manage(platform: Platform, method: str, path: str, body: dict[str, object] | None = None) -> None:
    headers = {"Authorization": aiohttp.encode_basic_auth(*platform.servers.rabbitmq_admin)}
    url = f"{platform.servers.management_url}/api/{path}"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, url, json=body) as it,
    ):
        it.raise_for_status()


async def bind(platform: Platform, method: str, key: str = "") -> None:
    path = f"bindings/{VHOST}/e/{topology.EXCHANGE}/q/{QUEUE}{key}"
    await manage(platform, method, path, None if key else {"routing_key": OF_TODAY})


async def sign_up(platform: Platform, release: Release, name: str) -> None:
    """Sign somebody up at the release's API, when it has started."""
    url = f"http://127.0.0.1:{release.variables['IDENTITY_PORT']}/api/v1/auth/register"
    body = {"email": f"{name}@example.org", "password": "seven blue irises"}
    headers = {GATEWAY_TOKEN_HEADER: platform.gateway_proof("identity")()}

    async def answered() -> int:
        try:
            async with session.post(url, json=body) as answer:
                return answer.status
        except aiohttp.ClientConnectionError as error:
            raise AssertionError(str(error)) from error

    async with aiohttp.ClientSession(headers=headers) as session:
        assert await eventually(answered, seconds=START_SECONDS) == 201


async def count(platform: Platform, query: str, database: str = DATABASE) -> int:
    connection = await platform.connect_as_admin(database)
    try:
        return int(await connection.fetchval(query))
    finally:
        await connection.close()


async def announce(platform: Platform, event: UserRenamed) -> None:
    """Write an event that only today knows into the outbox, as today's API would."""
    envelope = wrap(event, event_id=new_id(), time=datetime.now(UTC))
    connection = await platform.connect_as_admin(DATABASE)
    try:
        await connection.execute(
            "INSERT INTO identity.outbox (event_id, type, subject, body, mandatory) "
            "VALUES ($1, $2, $3, $4, true)",
            envelope.id,
            envelope.type,
            envelope.subject,
            envelope.to_json(),
        )
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def consumer_of_today(platform: Platform, renamed: list[uuid.UUID]) -> AsyncIterator[None]:
    """Consume the queue as a storage of today would that knows today's event."""
    environment = platform.environment("storage")

    async def note(_uow: UnitOfWork, envelope: Envelope[UserRenamed]) -> None:
        renamed.append(envelope.data.user_id)

    database = Database(
        SecretStr(environment["STORAGE_DATABASE_URL"]), schema="storage", tombstone_key=bytes(32)
    )
    url = environment["STORAGE_BROKER_URL"]
    publisher, inbound = EventPublisher(url), BrokerConnection(url)
    consumer = Consumer(QUEUE, {UserRenamed: note})
    consume(inbound.broker, QUEUE, Inbound(database, consumer, later=publisher, patience_seconds=60).receive)
    publisher.connect()
    inbound.connect()
    try:
        yield
    finally:
        await inbound.close()
        await publisher.close()
        await database.close()


@dataclass(frozen=True)
class Look:
    """What must come true, each as a check for `eventually`."""

    platform: Platform

    async def everybody_has_a_key(self) -> None:
        keys = await count(self.platform, "SELECT count(*) FROM keyring.keys", KEYRING_DATABASE)
        assert keys == 2 * PEOPLE

    async def outboxes_are_empty(self) -> None:
        for service in ("identity", "storage"):
            assert await count(self.platform, f"SELECT count(*) FROM {service}.outbox") == 0

    async def relay_keeps_what_nobody_hears(self) -> None:
        query = f"SELECT count(*) FROM identity.outbox WHERE type = '{OF_TODAY}' AND attempts > 0"
        assert await count(self.platform, query) == 1


async def new_type_reaches_who_knows_it(stage: Platform, yesterday: Release) -> None:
    """Let an event of today meet yesterday's relay before it has a queue, and both consumers after that."""

    async def yesterday_has_put_it_off() -> None:
        assert any("event_not_known_yet" in line for line in yesterday.said())

    async def today_has_heard() -> None:
        assert renamed == [event.user_id]

    event = UserRenamed(user_id=new_id(), verified_at=datetime.now(UTC))
    renamed: list[uuid.UUID] = []
    await announce(stage, event)
    await eventually(Look(stage).relay_keeps_what_nobody_hears, seconds=START_SECONDS)
    await bind(stage, "POST")
    await eventually(yesterday_has_put_it_off, seconds=START_SECONDS)
    async with consumer_of_today(stage, renamed):
        await eventually(today_has_heard, seconds=START_SECONDS)


async def test_releases_side_by_side_lose_nothing(stage: Platform, releases: tuple[Release, Release]) -> None:
    yesterday, today = releases
    with all_ended() as running:
        running += [yesterday.start(stage, service, name) for service, name in PROCESSES]
        await new_type_reaches_who_knows_it(stage, yesterday)

        running += [today.start(stage, service, name) for service, name in PROCESSES]
        for number in range(PEOPLE):
            for name, release in (("yesterday", yesterday), ("today", today)):
                await sign_up(stage, release, f"{name}-{number}")
        await eventually(Look(stage).everybody_has_a_key, seconds=START_SECONDS)
        await eventually(Look(stage).outboxes_are_empty)
    for service in ("identity", "storage"):
        assert await count(stage, f"SELECT count(*) FROM {service}.dead_letters") == 0
    for line in (*yesterday.said(), *today.said()):
        said = json.loads(line)
        # The one that had no queue yet.
        assert said["level"] != "error" or said["event"] == "event_refused", line

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import quote

import aio_pika
import aiohttp
import pytest

from chassis.ids import new_id
from chassis.service_auth import GATEWAY_TOKEN_HEADER
from cluster.environment import VHOST
from contracts.envelope import wrap
from contracts.identity import UserDeleted
from contracts.topology import EXCHANGE
from support import eventually

START_SECONDS = 30


@asynccontextmanager
async def process(platform, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run one of the service's processes, and end it in good order."""
    environment = {**os.environ, **platform.environment("consent")}
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "consent", name, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.wait(), timeout=30) == 0


async def messages_in(platform, queue: str) -> list[dict]:
    """Look at a queue's messages and leave them there."""
    url = f"{platform.servers.management_url}/api/queues/{quote(VHOST, safe='')}/{queue}/get"
    body = {"count": 100, "ackmode": "ack_requeue_true", "encoding": "auto"}
    headers = {"Authorization": aiohttp.encode_basic_auth(*platform.servers.rabbitmq_admin)}
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json=body) as answer:
        answer.raise_for_status()
        return [json.loads(message["payload"]) for message in await answer.json()]


async def publish_as_identity(platform, event: UserDeleted, clock) -> None:
    connection = await aio_pika.connect(platform.servers.broker_url("identity", VHOST))
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)
        body = wrap(event, event_id=new_id(), time=clock.now()).to_json()
        await exchange.publish(aio_pika.Message(body), routing_key=event.type)


async def test_the_worker_announces_consents_erases_and_reports(person, platform, admin, clock) -> None:
    ann = person()
    granted = (await ann.agree()).json()
    await ann.withdraw(granted["id"])
    now = clock.now()
    event = UserDeleted(
        user_id=ann.id, erasure_id=new_id(), requested_at=now, deadline=now + timedelta(days=30)
    )

    async def storage_has_heard() -> None:
        heard = await messages_in(platform, "storage.follow-consent")
        hers = [message["data"] for message in heard if message["subject"] == f"users/{ann.id}"]
        assert [(data["epoch"], data["consent_id"]) for data in hers] == [
            (1, granted["id"]),
            (2, granted["id"]),
        ]

    async def identity_has_heard() -> None:
        heard = await messages_in(platform, "identity.collect-erasure-reports")
        reports = [message for message in heard if message["subject"] == f"erasures/{event.erasure_id}"]
        assert [report["data"]["erased"] for report in reports] == [
            {"consent_entries": 2, "consent_gates": 1, "last_activity": 0, "preferences": 0}
        ]
        joined = await messages_in(platform, "identity.register-participants")
        assert "services/consent" in {message["subject"] for message in joined}

    async def nothing_is_left() -> None:
        assert await admin.fetchval("SELECT count(*) FROM consent.outbox") == 0
        assert await admin.fetchval("SELECT count(*) FROM consent.gates") == 0
        assert await admin.fetchval("SELECT count(user_id) FROM consent.entries") == 0
        assert await admin.fetchval("SELECT count(user_id) FROM consent.erasure_tasks") == 0

    async with process(platform, "worker"):
        await eventually(storage_has_heard, seconds=START_SECONDS)
        await publish_as_identity(platform, event, clock)
        await eventually(identity_has_heard, seconds=START_SECONDS)
        await eventually(nothing_is_left)


async def test_the_api_answers_without_a_broker_or_identity(platform, settings, service) -> None:
    base = f"http://{settings.host}:{settings.port}"

    async def ready() -> None:
        try:
            async with session.get(f"{base}/health/readiness") as answer:
                assert await answer.json() == {"status": "ready", "db": "ok"}
        except aiohttp.ClientConnectionError as error:
            raise AssertionError(str(error)) from error

    proof = {GATEWAY_TOKEN_HEADER: platform.gateway_proof("consent")()}
    async with process(platform, "api"), aiohttp.ClientSession(headers=proof) as session:
        await eventually(ready, seconds=START_SECONDS)
        async with session.get(f"{base}/api/v1/privacy/jurisdiction?country_code=DE") as answer:
            assert (await answer.json())["jurisdiction"] == "gdpr"
        token = {"Authorization": "Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImEifQ.e30.AA"}
        async with session.get(f"{base}/api/v1/privacy/consent", headers=token) as answer:
            assert answer.status == 503
            assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CONSENT_TOMBSTONE_KEY", "secret", "CONSENT_TOMBSTONE_KEY: must be 64 hexadecimal"),
        ("CONSENT_GEOIP_DB_PATH", "missing.mmdb", "CONSENT_GEOIP_DB_PATH: Path does not point to a file"),
    ],
)
async def test_a_wrong_setting_refuses_the_start_and_says_which(platform, name, value, said) -> None:
    environment = {**os.environ, **platform.environment("consent"), name: value}
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "consent", "api", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, told = await asyncio.wait_for(running.communicate(), timeout=START_SECONDS)
    assert running.returncode == 2
    assert said in told.decode()

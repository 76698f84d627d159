"""The real processes: the worker on a real broker, the API on a real socket."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import aio_pika
import aiohttp
from sqlalchemy import select

from chassis.ids import new_id
from chassis.service_auth import GATEWAY_TOKEN_HEADER
from cluster.environment import VHOST
from contracts.envelope import Event, wrap
from contracts.fields import AuthProvider
from contracts.identity import UserDeleted, UserRegistered
from contracts.topology import EXCHANGE
from storage.main import STORAGE
from support import eventually

START_SECONDS = 90


@asynccontextmanager
async def process(
    platform, settings, name: str, *, ends_with: int = 0
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run one of the service's processes, and end it in good order if the test has not killed it."""
    own = {"STORAGE_CONSENT_URL": settings.consent_url, "STORAGE_S3_ENDPOINT_URL": settings.s3_endpoint_url}
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "storage",
        name,
        env={**os.environ, **platform.environment("storage"), **own},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.wait(), timeout=40) == ends_with


async def reported_by(service) -> dict[UUID, dict]:
    """List the erasures that were reported and have left for the broker: counts by erasure."""
    async with service.unit_of_work() as uow:
        tasks, outbox = uow.tables.erasure_tasks, uow.tables.outbox
        query = select(tasks.c.erasure_id, tasks.c.erased).where(tasks.c.completed_at.is_not(None))
        done = (await uow.session.execute(query)).all()
        waiting = (await uow.session.scalars(select(outbox.c.subject))).all()
    return {erasure_id: erased for erasure_id, erased in done if f"erasures/{erasure_id}" not in waiting}


async def publish_as_identity(platform, events: list[Event], clock) -> None:
    connection = await aio_pika.connect(platform.servers.broker_url("identity", VHOST))
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)
        for event in events:
            body = wrap(event, event_id=new_id(), time=clock.now()).to_json()
            await exchange.publish(aio_pika.Message(body), routing_key=event.type)


async def test_a_starting_worker_announces_what_storage_answers_for(settings, service, announced) -> None:
    worker = STORAGE.create_worker(service)

    async def told() -> None:
        assert [(event["type"], event["handles"]) for event in await announced()] == [
            ("storage.participant.joined.v1", ["erasure", "export"])
        ]

    announcing = asyncio.create_task(worker._announce())
    try:
        await eventually(told)
    finally:
        announcing.cancel()


async def test_the_worker_opens_keys_and_erases_what_it_is_told_over_the_broker(
    platform, settings, service, ada, stranger, consent, pictures, clock
) -> None:
    consent.grant(stranger.id)
    for person in (ada, stranger):
        for _ in range(3):
            await person.upload(pictures.jpeg())
    others = [new_id() for _ in range(10)]
    people = [ada.id, stranger.id, *others]
    now = clock.now()
    deletions = [
        UserDeleted(user_id=user, erasure_id=uuid4(), requested_at=now, deadline=now + timedelta(days=30))
        for user in people
    ]
    registrations = [
        UserRegistered(user_id=user, auth_provider=AuthProvider.EMAIL, registered_at=now) for user in others
    ]

    async def all_are_reported() -> dict[UUID, dict]:
        reports = await reported_by(service)
        assert reports.keys() == {event.erasure_id for event in deletions}
        return reports

    async def keys_are_open() -> None:
        assert await service.vault.count_keys(others) == dict.fromkeys(others, 1)

    # What other tests have left in the queues would be acted on, too.
    await platform.purge_queues()
    async with process(platform, settings, "worker"):
        await publish_as_identity(platform, registrations, clock)
        await eventually(keys_are_open, seconds=START_SECONDS)
        await publish_as_identity(platform, deletions, clock)
        reports = await eventually(all_are_reported, seconds=START_SECONDS)
    assert {reports[event.erasure_id]["data_keys"] for event in deletions} == {1}
    assert [reports[event.erasure_id]["objects"] for event in deletions[:2]] == [6, 6]
    for user in people:
        assert await service.vault.count_objects([user]) == {user: 0}
        assert await service.vault.count_keys([user]) == {user: 0}


async def test_an_upload_that_breaks_off_on_the_wire_can_be_repeated(
    platform, settings, ada, pictures
) -> None:
    ticket, data = await ada.ticket(), pictures.jpeg(800, 600)
    link = urlsplit(ticket["upload_url"])
    path, base = f"{link.path}?{link.query}", f"http://{settings.host}:{settings.port}"

    async def ready() -> None:
        try:
            async with session.get(f"{base}/health/readiness") as answer:
                assert await answer.json() == {"status": "ready", "db": "ok", "storage": "ok"}
        except aiohttp.ClientConnectionError as error:
            raise AssertionError(str(error)) from error

    async def received() -> None:
        proof = platform.gateway_proof("storage")()
        headers = {"Content-Type": "image/jpeg", GATEWAY_TOKEN_HEADER: proof}
        async with session.put(base + path, data=io.BytesIO(data), headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            assert (await answer.json())["file_size"] == len(data)

    async with process(platform, settings, "api"), aiohttp.ClientSession() as session:
        await eventually(ready, seconds=START_SECONDS)
        _, writer = await asyncio.open_connection(settings.host, settings.port)
        proof = platform.gateway_proof("storage")()
        head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
        head += f"{GATEWAY_TOKEN_HEADER}: {proof}\r\n"
        writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data[:100])
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await eventually(received, seconds=30)


async def test_upload_in_pieces_goes_on_after_kill_9(platform, settings, ada, client, pictures) -> None:
    data = pictures.jpeg(800, 600)
    said = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(data))}
    begun = await client.post("/api/v1/photos/uploads", headers={**ada._headers, **said})
    link = urlsplit(begun.headers["Location"])
    path, base = f"{link.path}?{link.query}", f"http://{settings.host}:{settings.port}"
    photo_id = begun.json()["photo_id"]

    def headers(**more: str) -> dict[str, str]:
        proof = platform.gateway_proof("storage")()
        return {"Tus-Resumable": "1.0.0", GATEWAY_TOKEN_HEADER: proof, **more}

    def piece(offset: int) -> dict[str, str]:
        kind = "application/offset+octet-stream"
        return headers(**{"Upload-Offset": str(offset), "Content-Type": kind})

    async def offset() -> int:
        try:
            async with session.head(base + path, headers=headers()) as answer:
                assert answer.status == 200
                return int(answer.headers["Upload-Offset"])
        except aiohttp.ClientConnectionError as error:
            raise AssertionError(str(error)) from error

    async with aiohttp.ClientSession() as session:
        async with process(platform, settings, "api", ends_with=-signal.SIGKILL) as api:
            assert await eventually(offset, seconds=START_SECONDS) == 0
            async with session.patch(base + path, data=data[:1000], headers=piece(0)) as answer:
                assert (answer.status, answer.headers["Upload-Offset"]) == (204, "1000")
            _, writer = await asyncio.open_connection(settings.host, settings.port)
            lines = [f"PATCH {path} HTTP/1.1", "Host: x", f"Content-Length: {len(data) - 1000}"]
            lines += [f"{name}: {value}" for name, value in piece(1000).items()]
            # It dies with a piece on its way, of which nothing was acknowledged.
            writer.write("\r\n".join([*lines, "", ""]).encode() + data[1000:1500])
            await writer.drain()
            api.kill()
            writer.close()
        async with process(platform, settings, "api"):
            assert await eventually(offset, seconds=START_SECONDS) == 1000
            async with session.patch(base + path, data=data[1000:], headers=piece(1000)) as answer:
                assert (answer.status, answer.headers["Upload-Offset"]) == (204, str(len(data)))
    confirmed = await ada.call("POST", f"/{photo_id}/confirm", json={"file_size": len(data)})
    assert pictures.size((await ada.read(confirmed.json()["original_url"])).content) == (800, 600)

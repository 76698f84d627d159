"""The real process: it starts, stops in good order, and says what is wrong with its variables."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from support import eventually

AS_MODULE = ("-m", "gateway", "api")
WITH_A_PART_THAT_BREAKS = """
import sys
from gateway.__main__ import main as begin
from gateway.revocations import RevocationFeed

async def broken(self):
    raise LookupError("canary")

RevocationFeed.run = broken
sys.argv = ["gateway", "api"]
begin()
"""

WHOSE_PARENT_IS_PATIENT = """
import sys
from gateway import processes
from gateway.__main__ import main as begin

processes.LIVES_SECONDS = 0
sys.argv = ["gateway", "api"]
begin()
"""


async def start(
    environment: dict[str, str], command: tuple[str, ...] = AS_MODULE
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_wrong_variables_are_named_without_their_values() -> None:
    process = await start({"GATEWAY_SERVICE_KEY": "very-secret", "GATEWAY_PORT": "eight"})
    _out, error = await process.communicate()
    assert process.returncode == 2
    assert "GATEWAY_PORT:" in error.decode()
    assert "GATEWAY_REDIS_URL:" in error.decode()
    assert "very-secret" not in error.decode()
    assert "Traceback" not in error.decode()


@pytest.fixture
def environment(stage: Any, service_keys: Any, unused_tcp_port: int) -> dict[str, str]:
    return {
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(unused_tcp_port),
        "GATEWAY_SERVICE_KEY": service_keys["gateway"].pem.replace("\n", "\\n"),
        "GATEWAY_SERVICE_PUBLIC_KEYS": json.dumps({name: pair.jwk for name, pair in service_keys.items()}),
        **{f"GATEWAY_{it.name.upper()}_URL": it.url for it in stage.neighbours},
        "GATEWAY_REDIS_URL": "redis://127.0.0.1:1/0",
        "GATEWAY_WORKER_URLS": stage.workers.url,
    }


async def test_process_serves_logs_without_queries_and_finishes_requests_before_it_stops(
    stage: Any, environment: dict[str, str]
) -> None:
    release = asyncio.Event()

    async def handler(_request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.json_response({"finished": True})

    stage.consent.on("GET", "/api/v1/privacy/jurisdiction", handler)
    process = await start(environment)
    base = f"http://127.0.0.1:{environment['GATEWAY_PORT']}"

    async def serving() -> None:
        try:
            async with stage.client.get(f"{base}/health") as answer:
                assert answer.status == 200
                assert "server" not in answer.headers
        except OSError as error:
            raise AssertionError from error

    await eventually(serving, seconds=40)
    running = asyncio.create_task(stage.client.get(f"{base}/api/v1/privacy/jurisdiction?country_code=XYZZY"))

    async def asked() -> None:
        assert stage.consent.asked

    await eventually(asked)
    process.send_signal(signal.SIGTERM)
    release.set()
    answer = await running
    assert await answer.json() == {"finished": True}
    out, error = await asyncio.wait_for(process.communicate(), 25)
    log = out.decode() + error.decode()
    assert process.returncode == 0, log
    assert '"route": "/api/v1/privacy/jurisdiction"' in log
    assert "XYZZY" not in log
    assert "127.0.0.1" not in "".join(line for line in log.splitlines() if '"request"' in line)


async def test_part_that_ends_ends_the_process_with_an_error(environment: dict[str, str]) -> None:
    process = await start(environment, ("-c", WITH_A_PART_THAT_BREAKS))
    out, _error = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 1
    assert b'"part": "follow-revocations"' in out
    assert b'"event": "part_ended"' in out
    assert b"canary" not in out


async def test_gateway_that_stops_is_unready_at_once_and_serves_on_for_its_grace(
    stage: Any, environment: dict[str, str]
) -> None:
    process = await start({**environment, "GATEWAY_STOP_GRACE_SECONDS": "2"})
    base = f"http://127.0.0.1:{environment['GATEWAY_PORT']}"

    async def readiness(status: int) -> None:
        try:
            async with stage.client.get(f"{base}/health/readiness") as answer:
                assert answer.status == status
        except OSError as error:
            raise AssertionError from error

    await eventually(lambda: readiness(200), seconds=40)
    process.send_signal(signal.SIGTERM)
    await eventually(lambda: readiness(503))
    async with stage.client.get(f"{base}/health") as answer:
        assert answer.status == 200
    out, _error = await asyncio.wait_for(process.communicate(), 25)
    assert process.returncode == 0, out


class Gateways:
    """A gateway of two processes, and a connection to each of them."""

    def __init__(self, parent: asyncio.subprocess.Process, base: str) -> None:
        self.parent = parent
        self.base = base
        self.children = children_of(parent.pid)

    async def connection_to(self, child: int) -> aiohttp.ClientSession:
        """Return a session over one connection, which `child` has taken because the others stand still."""
        others = [other for other in self.children if other != child]
        for other in others:
            os.kill(other, signal.SIGSTOP)
        session = aiohttp.ClientSession(self.base, connector=aiohttp.TCPConnector(limit=1))
        try:
            async with session.get("/health") as answer:
                assert answer.status == 200
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)
        return session


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
async def gateways(environment: dict[str, str]) -> AsyncIterator[Gateways]:
    """Two processes, one of which may be killed right after its start."""
    process = await start({**environment, "GATEWAY_PROCESSES": "2"}, ("-c", WHOSE_PARENT_IS_PATIENT))
    base = f"http://127.0.0.1:{environment['GATEWAY_PORT']}"

    async def serving() -> None:
        assert len(children_of(process.pid)) == 2
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{base}/health") as answer:
                assert answer.status == 200
        except OSError as error:
            raise AssertionError from error

    await eventually(serving, seconds=40)
    yield Gateways(process, base)
    if process.returncode is None:
        process.kill()
        await process.communicate()


async def test_each_of_two_processes_refuses_at_once_what_the_other_has_ended(
    stage: Any, gateways: Gateways
) -> None:
    first, second = [await gateways.connection_to(child) for child in gateways.children]
    stage.identity.answers("POST", "/api/v1/auth/logout", {})
    session_id = uuid4()
    signed_in = stage.mint.bearer(session_id=session_id)
    async with first, second:
        for connection in (first, second):
            await eventually(partial(answers, connection, signed_in, 200))
        async with connection.post("/api/v1/auth/logout", headers=signed_in) as answer:
            assert answer.status == 200
        # Identity's list has not told it.
        assert not stage.identity.revocations
        for connection in (first, second):
            await answers(connection, signed_in, 401)


async def test_session_that_identity_has_ended_is_refused_by_both_processes(
    stage: Any, gateways: Gateways
) -> None:
    session_id = uuid4()
    signed_in = stage.mint.bearer(session_id=session_id)
    for child in gateways.children:
        async with await gateways.connection_to(child) as connection:
            await eventually(partial(answers, connection, signed_in, 200))
    await stage.identity.revoke(session_id)
    for child in gateways.children:
        async with await gateways.connection_to(child) as connection:
            await eventually(partial(answers, connection, signed_in, 401))


async def answers(connection: aiohttp.ClientSession, headers: dict[str, str], status: int) -> None:
    async with connection.get("/api/v1/users/me", headers=headers) as answer:
        assert answer.status == status


async def test_process_that_is_killed_is_started_anew_while_the_other_serves(gateways: Gateways) -> None:
    killed, other = gateways.children
    async with await gateways.connection_to(other) as connection:
        os.kill(killed, signal.SIGKILL)
        async with connection.get("/health") as answer:
            assert answer.status == 200

    async def both() -> None:
        now = children_of(gateways.parent.pid)
        assert len(now) == 2
        assert killed not in now

    await eventually(both)
    gateways.children = children_of(gateways.parent.pid)
    fresh = next(child for child in gateways.children if child != other)
    async with await gateways.connection_to(fresh):
        gateways.parent.send_signal(signal.SIGTERM)
    out, _error = await asyncio.wait_for(gateways.parent.communicate(), 25)
    assert gateways.parent.returncode == 0, out
    assert b'"event": "process_ended"' in out


async def test_two_processes_finish_their_requests_before_they_stop(stage: Any, gateways: Gateways) -> None:
    release, asked = asyncio.Event(), asyncio.Semaphore(0)

    async def handler(_request: web.Request) -> web.StreamResponse:
        asked.release()
        await release.wait()
        return web.json_response({"finished": True})

    stage.consent.on("GET", "/api/v1/privacy/jurisdiction", handler)
    connections = [await gateways.connection_to(child) for child in gateways.children]
    running = [
        asyncio.create_task(connection.get("/api/v1/privacy/jurisdiction")) for connection in connections
    ]
    for _ in running:
        await asked.acquire()
    gateways.parent.send_signal(signal.SIGTERM)
    release.set()
    for each in running:
        assert await (await each).json() == {"finished": True}
    for connection in connections:
        await connection.close()
    out, _error = await asyncio.wait_for(gateways.parent.communicate(), 25)
    assert gateways.parent.returncode == 0, out


async def test_processes_end_when_their_parent_is_killed(gateways: Gateways) -> None:
    gateways.parent.kill()
    # Their output ends with the last of them.
    await asyncio.wait_for(gateways.parent.communicate(), 25)


async def test_processes_of_which_one_can_not_live_end_with_an_error(environment: dict[str, str]) -> None:
    process = await start({**environment, "GATEWAY_PROCESSES": "2"}, ("-c", WITH_A_PART_THAT_BREAKS))
    out, _error = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 1
    assert b'"event": "process_ended"' in out

"""The real process: it starts, stops in good order, and says what is wrong with its variables."""

import asyncio
import json
import os
import signal
import sys
from typing import Any

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
        "GATEWAY_IDENTITY_URL": stage.identity.url,
        "GATEWAY_CONSENT_URL": stage.consent.url,
        "GATEWAY_STORAGE_URL": stage.storage.url,
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

"""Runs a service's API as the process that a cluster runs, on the servers of a test session."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from cluster.members import DATABASE_SERVICES
from native.environment import service_environment
from support.free_ports import free_port
from support.gateway import Proof
from support.platform import Platform

START_SECONDS = 90.0
PAUSE_SECONDS = 0.1
STOP_SECONDS = 40.0


@dataclass(frozen=True)
class ApiProcess:
    """A running API; `url` has no slash at its end, `proof` makes the token that public routes ask for."""

    url: str
    pid: int
    proof: Proof


@contextlib.asynccontextmanager
async def api_process(
    platform: Platform,
    service: str,
    *,
    port: int | None = None,
    silent: bool = False,
    ready: str = "readiness",
    **variables: str,
) -> AsyncIterator[ApiProcess]:
    """Start `python -m <service> api`, migrated; `ready` names the health that it must reach.

    It listens on `port`, or on a free one.

    It ends with the block. Its log goes where the caller's goes, or nowhere; `variables` replace or add some
    of its environment.
    """
    if service in DATABASE_SERVICES:
        platform.migrate(service)
    servers = platform.servers
    environment = service_environment(servers.values, service)
    port = port or free_port()
    own = {f"{service.upper()}_PORT": str(port), f"{service.upper()}_LOG_LEVEL": "WARNING", **variables}
    process = subprocess.Popen(  # noqa: ASYNC220 - it returns as soon as the process exists
        [sys.executable, "-m", service, "api"],
        env={**os.environ, **environment, **own},
        stdout=subprocess.DEVNULL if silent else None,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await _until_ready(process, f"{url}/health/{ready}")
        yield ApiProcess(url, process.pid, platform.gateway_proof(service))
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, STOP_SECONDS)


async def _until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as http:
        while True:
            if process.poll() is not None:
                raise RuntimeError(f"the API ended with {process.returncode} before it was ready")
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(url) as answer:
                    if answer.ok:
                        return
            await asyncio.sleep(PAUSE_SECONDS)

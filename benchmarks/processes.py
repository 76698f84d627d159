"""Starts what is measured against: references as processes, peers from their package managers."""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import venv
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from benchmarks.client import Connection, bearer, request
from benchmarks.load import expect

PEERS = Path(__file__).parent / "peers"
FASTAPI_USERS = ("fastapi-users[sqlalchemy]==15.0.5", "fastapi==0.128.0", "uvicorn[standard]", "asyncpg")
PASSWORD = "seven blue irises"  # noqa: S105 - of accounts that live as long as the run
EMAIL = "ada@example.com"
FORM = "application/x-www-form-urlencoded"
START_SECONDS = 90.0
PAUSE_SECONDS = 0.1


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str],
    variables: Mapping[str, str] | None = None,
    *,
    port: int = 0,
    path: str = "/",
    cwd: Path | None = None,
) -> AsyncIterator[str]:
    """Run a program for the length of the block; return its address once it answers `path` on `port`."""
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - it returns as soon as the process exists
        command, cwd=cwd, env={**os.environ, **(variables or {})}, stdout=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        if port:
            await _until_it_answers(process, url, path)
        yield url
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def uvicorn(application: str, port: int, python: str = sys.executable) -> list[str]:
    """Return the command of one uvicorn process without an access log."""
    options = ["--port", str(port), "--no-access-log", "--log-level", "warning"]
    return [python, "-m", "uvicorn", application, *options]


def install_fastapi_users(place: Path) -> str:
    """Install fastapi-users into a virtual environment; return its interpreter."""
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *FASTAPI_USERS], check=True)  # noqa: S603
    return str(python)


def install_parse(place: Path) -> None:
    """Install Parse Server with npm; raises FileNotFoundError where there is none."""
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "server.js"):
        (place / name).write_text((PEERS / "parse" / name).read_text())
    subprocess.run(["npm", "install", "--silent", "--no-audit"], cwd=place, check=True)  # noqa: S607


@contextlib.asynccontextmanager
async def fastapi_users(place: Path, dsn: str) -> AsyncIterator[tuple[str, bytes]]:
    """Run fastapi-users; return its address and the request that shows the account."""
    python, port = await asyncio.to_thread(install_fastapi_users, place), free_port()
    command = [*uvicorn("fastapi_users_app:app", port, python), "--app-dir", str(PEERS)]
    variables = {"BENCHMARK_DSN": dsn, "BENCHMARK_SECRET": secrets.token_hex(32)}
    async with running(command, variables, port=port, path="/openapi.json") as url:
        account = {"email": EMAIL, "password": PASSWORD}
        form = f"username={EMAIL}&password={PASSWORD.replace(' ', '+')}".encode()
        async with Connection(url) as connection:
            expect(await connection.send(request("POST", "/auth/register", body=account)), 201)
            answer = await connection.send(request("POST", "/auth/login", body=form, content_type=FORM))
        expect(answer, 200)
        yield url, request("GET", "/users/me", bearer(answer.document["access_token"]))


@contextlib.asynccontextmanager
async def parse_server(place: Path, dsn: str) -> AsyncIterator[tuple[str, bytes]]:
    """Run Parse Server; return its address and the request that shows the account."""
    await asyncio.to_thread(install_parse, place)
    port, secret = free_port(), secrets.token_hex(32)
    variables = {"BENCHMARK_DSN": dsn, "BENCHMARK_SECRET": secret, "BENCHMARK_PORT": str(port)}
    command = ["node", str(place / "server.js")]
    # It opens its log in the directory that it is started in, whatever its options say.
    async with running(command, variables, port=port, path="/parse/health", cwd=place) as url:
        account = {"username": EMAIL, "email": EMAIL, "password": PASSWORD}
        key = {"X-Parse-Application-Id": "benchmark"}
        async with Connection(url) as connection:
            answer = await connection.send(request("POST", "/parse/users", key, body=account))
        expect(answer, 201)
        token = answer.document["sessionToken"]
        yield url, request("GET", "/parse/users/me", {"X-Parse-Session-Token": token, **key})


async def _until_it_answers(process: subprocess.Popen[bytes], url: str, path: str) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            if process.poll() is not None:
                raise RuntimeError(f"it ended with {process.returncode} before it answered")
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                async with Connection(url) as connection:
                    await connection.send(request("GET", path))
                return
            await asyncio.sleep(PAUSE_SECONDS)

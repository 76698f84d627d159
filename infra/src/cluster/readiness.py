"""Asks servers and services whether they are ready."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
import asyncpg

from cluster.errors import ClusterError

ANSWER_SECONDS = 5.0
HTTP_OK = 200
SHOWN_CHARACTERS = 300
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5


class NotReadyError(Exception):
    """A server does not answer yet; says what it answered instead."""


Check = Callable[[], Awaitable[None]]


async def until_ready(
    what: str, check: Check, *, seconds: float, still_alive: Callable[[], str | None] | None = None
) -> None:
    """Repeat `check` until it passes; ClusterError with the last answer after `seconds`.

    `still_alive` returns the reason when waiting on is pointless.
    """
    deadline = time.monotonic() + seconds
    pause = FIRST_PAUSE
    while True:
        try:
            await check()
        except NotReadyError as error:
            reason = still_alive() if still_alive else None
            if reason:
                raise ClusterError(f"{what} stopped: {reason}") from error
            if time.monotonic() > deadline:
                raise ClusterError(f"{what} was not ready after {seconds:.0f} s: {error}") from error
        else:
            return
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


async def port_answers(host: str, port: int) -> None:
    """Pass when something accepts TCP connections."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), ANSWER_SECONDS)
    except (OSError, TimeoutError) as error:
        raise NotReadyError(f"port {port} does not answer") from error
    writer.close()


async def postgres_answers(dsn: str) -> None:
    """Pass when a query is answered."""
    try:
        connection = await asyncpg.connect(dsn, timeout=ANSWER_SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NotReadyError(f"PostgreSQL answers {type(error).__name__}") from error
    await connection.close()


async def redis_answers(host: str, port: int, user: str, password: str) -> None:
    """Pass when PING is answered with PONG."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), ANSWER_SECONDS)
        try:
            writer.write(f"AUTH {user} {password}\r\nPING\r\n".encode())
            answers = [await asyncio.wait_for(reader.readline(), ANSWER_SECONDS) for _ in range(2)]
        finally:
            writer.close()
    except (OSError, TimeoutError) as error:
        raise NotReadyError(f"port {port} does not answer") from error
    if answers != [b"+OK\r\n", b"+PONG\r\n"]:
        raise NotReadyError(f"Redis answers {answers[-1].decode(errors='replace').strip()!r}")


async def http_answers(
    url: str, *, login: tuple[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> None:
    """Pass when GET `url` is answered with 200; otherwise NotReadyError quotes the answer."""
    sent = dict(headers or {})
    if login:
        sent["Authorization"] = aiohttp.encode_basic_auth(*login)
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=sent) as session,
            session.get(url) as response,
        ):
            text = await response.text()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise NotReadyError(f"{url} does not answer") from error
    if response.status != HTTP_OK:
        raise NotReadyError(f"{url} answers {response.status}: {_short(text)}")


def _short(text: str) -> str:
    try:
        text = json.dumps(json.loads(text))
    except ValueError:
        text = " ".join(text.split())
    return text[:SHOWN_CHARACTERS]

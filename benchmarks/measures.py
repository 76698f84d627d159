"""The four things that are measured; each takes a few seconds and returns one figure."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from benchmarks.client import Connection, get, post
from identity.settings import IdentitySettings
from support.api_process import ApiProcess

OK = 200
PASSWORD = "seven blue irises"  # noqa: S105 - of accounts that live as long as the run


def scheme(settings: IdentitySettings) -> PasswordHash:
    """Return argon2id with the parameters of the settings, and nothing around it."""
    return PasswordHash(
        (
            Argon2Hasher(
                time_cost=settings.argon2_iterations,
                memory_cost=settings.argon2_memory_kib,
                parallelism=settings.argon2_parallelism,
            ),
        )
    )


def bare_verifications(settings: IdentitySettings, stored: str, *, seconds: float) -> float:
    """Return how many passwords per second the argon2 threads can check when nobody else works."""
    hasher = scheme(settings)
    starting = threading.Barrier(settings.argon2_threads)

    def check(_: int) -> tuple[int, float]:
        starting.wait()
        began, checked = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            hasher.verify_and_update(PASSWORD, stored)
            checked += 1
        return checked, time.perf_counter() - began

    with ThreadPoolExecutor(settings.argon2_threads) as threads:
        return sum(checked / took for checked, took in threads.map(check, range(settings.argon2_threads)))


async def logins(api: ApiProcess, emails: Iterator[str], *, clients: int, seconds: float) -> float:
    """Return how many sign-ins per second `clients` get that each send the next when one is answered."""
    began = time.perf_counter()
    counted = await asyncio.gather(*(_log_in(api, emails, until=began + seconds) for _ in range(clients)))
    return sum(counted) / (time.perf_counter() - began)


async def me_milliseconds(api: ApiProcess, bearer: str, *, requests: int) -> list[float]:
    """Return how long one client waits for each `GET /users/me`, one after the other."""
    request, took = get("/api/v1/users/me", bearer=bearer, proof=api.proof()), []
    async with Connection(api.url) as connection:
        for _ in range(requests):
            began = time.perf_counter()
            answer = await connection.send(request)
            took.append((time.perf_counter() - began) * 1000)
            _expect(answer.status)
    return took


async def me_during_logins(
    api: ApiProcess, bearer: str, emails: Iterator[str], *, clients: int, requests: int
) -> list[float]:
    """Return the same while `clients` sign in without a pause."""
    flood = [asyncio.create_task(_log_in(api, emails, until=float("inf"))) for _ in range(clients)]
    try:
        return await me_milliseconds(api, bearer, requests=requests)
    finally:
        for task in flood:
            task.cancel()
        results = await asyncio.gather(*flood, return_exceptions=True)
        failures = [found for found in results if isinstance(found, Exception)]
        if failures:
            raise failures[0]


async def access_token(api: ApiProcess, email: str) -> str:
    """Sign in once."""
    async with Connection(api.url) as connection:
        answer = await connection.send(_login_request(api, email))
    _expect(answer.status)
    return str(answer.document["access_token"])


def middle(values: list[float]) -> float:
    """Return the median."""
    return median(values)


async def _log_in(api: ApiProcess, emails: Iterator[str], *, until: float) -> int:
    done = 0
    async with Connection(api.url) as connection:
        while time.perf_counter() < until:
            _expect((await connection.send(_login_request(api, next(emails)))).status)
            done += 1
    return done


def _login_request(api: ApiProcess, email: str) -> bytes:
    return post("/api/v1/auth/login/json", {"email": email, "password": PASSWORD}, proof=api.proof())


def _expect(status: int) -> None:
    if status != OK:
        raise RuntimeError(f"a request was answered {status}; figures of refusals mean nothing")

"""Rows about passwords: sign-ins beside the bare hash, and what everybody else waits meanwhile."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from benchmarks.client import request
from benchmarks.comparison import Row, Sample
from benchmarks.hashing import scheme
from benchmarks.load import closed_loop, repeating
from benchmarks.subject import API, Subject
from chassis.service_auth import GATEWAY_TOKEN_HEADER
from identity.settings import IdentitySettings
from support.gateway import gateway_proof
from support.people import PASSWORD, create_accounts

ACCOUNTS = 30_000
LOGIN_CLIENTS = 16
FLOOD_CLIENTS = 4
SECONDS = 6.0
LOOK_SECONDS = 3.0


def bare_verifications(settings: IdentitySettings, stored: str) -> Sample:
    """Return how many passwords per second the argon2 threads can check when nobody else works."""
    hasher = scheme(settings)
    starting = threading.Barrier(settings.argon2_threads)

    def check(_: int) -> float:
        starting.wait()
        began, checked = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            hasher.verify_and_update(PASSWORD, stored)
            checked += 1
        return checked / (time.perf_counter() - began)

    with ThreadPoolExecutor(settings.argon2_threads) as threads:
        return Sample(sum(threads.map(check, range(settings.argon2_threads))))


async def sign_in_rows(subject: Subject) -> list[Row]:
    """Compare sign-ins with the hash alone, and reading an account during them with the same when idle.

    Every sign-in is by another account, so no limit per account is met, and is the account's first of the
    day, which writes most.
    """
    with subject.platform.variables_of("identity"):
        settings = IdentitySettings()
    stored = scheme(settings).hash(PASSWORD)
    emails = iter(await create_accounts(subject.platform, ACCOUNTS, password_hash=stored))
    key = subject.cluster.values["GATEWAY_SERVICE_KEY"]
    proof = gateway_proof(key, "identity")
    (somebody,) = await subject.sign_in(1)

    def logins() -> Iterator[bytes]:
        for email in emails:
            body = {"email": email, "password": PASSWORD}
            yield request("POST", f"{API}/auth/login/json", {GATEWAY_TOKEN_HEADER: proof()}, body=body)

    async def sign_ins() -> Sample:
        load = await closed_loop(
            subject.identity, repeating(logins()), clients=LOGIN_CLIENTS, seconds=SECONDS
        )
        return Sample(load.rate, load.cpu)

    async def bare() -> Sample:
        return await asyncio.to_thread(bare_verifications, settings, stored)

    async def look() -> Sample:
        ask = request("GET", f"{API}/users/me", {**somebody.headers, GATEWAY_TOKEN_HEADER: proof()})
        step = repeating(iter(lambda: ask, None))
        load = await closed_loop(subject.identity, step, clients=1, seconds=LOOK_SECONDS)
        return Sample(median(load.milliseconds))

    async def look_during_sign_ins() -> Sample:
        flood = closed_loop(
            subject.identity, repeating(logins()), clients=FLOOD_CLIENTS, seconds=LOOK_SECONDS + 0.5
        )
        _, seen = await asyncio.gather(flood, look())
        return seen

    return [
        Row("sign-ins / argon2id alone", "per s", sign_ins, bare, 0.9),
        Row("`GET /users/me` p50 during sign-ins / idle", "ms", look_during_sign_ins, look, 2, at_most=True),
    ]

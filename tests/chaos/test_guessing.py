"""Guessing passwords: few tries are let through, and nobody else notices (S9)."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from support import eventually
from support.api_process import api_process
from support.people import create_accounts

GUESSES = 1000
AT_ONCE = 50
LOGINS = 200
PASSWORD = "seven blue irises"
HOME = "203.0.113.7"
# What a run may cross into the next window of 15 minutes: a tenth of the limit at most.
ACCOUNT_AND_NETWORK, ACCOUNT, ADDRESS = 10 * 1.1, 100 * 1.1, 50 * 1.1
MOST_MEMORY = 1024 * 1024 * 1024
MOST_LIVENESS_MILLISECONDS = 300
PROBE_PAUSE = 0.02
# Who is sent away hears of it before the gateway gives identity up after 5 s, even where other programs
# delay both.
HASH_WAIT = "2"
# The gateway's own limits of production; a cluster for development has none to speak of.
LIMITS = '{"login": "50/15 minutes", "refresh": "300/minute", "user": "6000/minute", "register": "5/hour"}'


@dataclass
class Watch:
    """What somebody who is signed in, and whoever asks for liveness, sees meanwhile."""

    victim: Counter[int] = field(default_factory=Counter)
    liveness: list[float] = field(default_factory=list)
    memory: int = 0

    def __str__(self) -> str:
        return (
            f"the victim's session: {dict(self.victim)}; liveness p99 {self.p99:.0f} ms of "
            f"{len(self.liveness)}; identity's memory {self.memory / 1024 / 1024:.0f} MiB at most"
        )

    @property
    def p99(self) -> float:
        return sorted(self.liveness)[int(len(self.liveness) * 0.99)]


class Attack:
    """The front door with production's limits, and clients at any address behind its load balancer."""

    def __init__(self, http: aiohttp.ClientSession, gateway: str, identity: str, identity_pid: int) -> None:
        self._http = http
        self._gateway = gateway
        self._identity = identity
        self._status = Path(f"/proc/{identity_pid}/status")

    async def log_in(self, email: str, password: str, address: str) -> tuple[int, dict]:
        url = f"{self._gateway}/api/v1/auth/login/json"
        headers = {"X-Forwarded-For": address}
        body = {"email": email, "password": password}
        async with self._http.post(url, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def statuses(self, tries: list[tuple[str, str, str]], *, at_once: int = AT_ONCE) -> Counter[int]:
        places = asyncio.Semaphore(at_once)

        async def one(email: str, password: str, address: str) -> int:
            async with places:
                return (await self.log_in(email, password, address))[0]

        return Counter(await asyncio.gather(*(one(*each) for each in tries)))

    async def refresh(self, token: str) -> int:
        url = f"{self._gateway}/api/v1/auth/refresh"
        async with self._http.post(url, json={"refresh_token": token}) as answer:
            return answer.status

    async def me(self, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        async with self._http.get(f"{self._gateway}/api/v1/users/me", headers=headers) as answer:
            return answer.status

    @asynccontextmanager
    async def watched(self, token: str) -> AsyncIterator[Watch]:
        """Use the victim's session and ask for liveness again and again until the block ends."""
        watch, over = Watch(), asyncio.Event()

        async def look() -> None:
            while not over.is_set():
                watch.victim[await self.me(token)] += 1
                began = time.perf_counter()
                async with self._http.get(f"{self._identity}/health/liveness") as answer:
                    assert answer.status == 200
                watch.liveness.append((time.perf_counter() - began) * 1000)
                watch.memory = max(watch.memory, self._resident())
                try:
                    await asyncio.wait_for(over.wait(), PROBE_PAUSE)
                except TimeoutError:
                    continue

        looking = asyncio.create_task(look())
        try:
            yield watch
        finally:
            over.set()
            await looking

    def _resident(self) -> int:
        line = next(line for line in self._status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024


@pytest.fixture
async def attack(platform) -> AsyncIterator[Attack]:
    await platform.forget_counts()
    async with (
        api_process(platform, "identity", silent=True, IDENTITY_ARGON2_WAIT_SECONDS=HASH_WAIT) as identity,
        api_process(
            platform,
            "gateway",
            silent=True,
            ready="liveness",
            GATEWAY_IDENTITY_URL=identity.url,
            GATEWAY_LIMITS=LIMITS,
            GATEWAY_TRUSTED_PROXIES="127.0.0.1/32",
        ) as gateway,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        yield Attack(http, gateway.url, identity.url, identity.pid)


@pytest.fixture
async def accounts(platform, password_hash) -> list[str]:
    platform.migrate("identity")
    await platform.clean("identity")
    return await create_accounts(platform, GUESSES + LOGINS, password_hash=password_hash)


def anywhere(chance: random.Random) -> str:
    """Return an address of a network that nobody else has."""
    return f"100.{chance.randrange(64, 128)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"


async def test_guesses_are_let_through_up_to_the_limits_and_nobody_else_notices(attack, accounts) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    victim, others, crowd = accounts[0], accounts[1:GUESSES], accounts[GUESSES:]

    # Once only: each further sign-in would use up what this address may try.
    status, tokens = await attack.log_in(victim, PASSWORD, HOME)
    assert status == 200, tokens

    async def let_in() -> None:
        # The gateway lets nobody pass before it has heard which sessions have ended.
        assert await attack.me(tokens["access_token"]) == 200

    await eventually(let_in, seconds=30)
    measured = {}
    async with attack.watched(tokens["access_token"]) as watch:
        measured["one account, one address"] = await attack.statuses(
            [(victim, f"guess {number}", "198.51.100.1") for number in range(GUESSES)]
        )
        measured["one account, many addresses"] = await attack.statuses(
            [(victim, f"guess {number}", anywhere(chance)) for number in range(GUESSES)]
        )
        measured["many accounts, one address"] = await attack.statuses(
            [(email, "password1", "192.0.2.1") for email in others]
        )
        measured["signing in at once"] = await attack.statuses(
            [(email, PASSWORD, anywhere(chance)) for email in crowd], at_once=LOGINS
        )
    for name, statuses in measured.items():
        print(f"\n{name}: {dict(statuses)}", end="")
    print(f"\n{watch}; seed {seed}")

    tried = {name: statuses[401] for name, statuses in measured.items()}
    assert 0 < tried["one account, one address"] <= ACCOUNT_AND_NETWORK
    assert 0 < tried["one account, many addresses"] <= ACCOUNT
    assert 0 < tried["many accounts, one address"] <= ADDRESS
    assert measured["signing in at once"].keys() <= {200, 503}
    assert set().union(*measured.values()) <= {200, 401, 429, 503}
    assert set(watch.victim) == {200}
    assert watch.p99 <= MOST_LIVENESS_MILLISECONDS
    assert watch.memory <= MOST_MEMORY
    assert await attack.refresh(tokens["refresh_token"]) == 200
    # Whoever has a session at home can sign in there, whatever strangers have used up.
    assert (await attack.log_in(victim, PASSWORD, HOME))[0] == 200

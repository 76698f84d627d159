"""The running cluster that is measured, and people in it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

from benchmarks.client import Connection, bearer, request
from benchmarks.hashing import scheme
from benchmarks.load import expect
from cluster.environment import ADMIN, DATABASE
from cluster.members import DATABASE_SERVICES
from gateway.routes import RateClass
from identity.settings import IdentitySettings
from support.people import PASSWORD, create_accounts
from support.platform import Platform
from support.separate import SeparateCluster, separate_cluster

UNLIMITED = json.dumps({name.value: "100000000/minute" for name in RateClass})
MANY = "1000000"
LIFTED = {
    "GATEWAY_LIMITS": UNLIMITED,
    "GATEWAY_MOST_REQUESTS_OF_ONE_PERSON": MANY,
    "CONSENT_CHANGES_PER_HOUR": MANY,
    "STORAGE_QUOTA_PHOTOS": MANY,
    "STORAGE_QUOTA_UPLOADS_PER_DAY": MANY,
    "STORAGE_QUOTA_BYTES": "1000000000000",
}
SIGN_IN_CLIENTS = 8
API = "/api/v1"
WAIT_SECONDS = 300
PAUSE_SECONDS = 0.01


@dataclass
class Person:
    """Somebody who is signed in."""

    email: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What goes with each of their requests."""
        return bearer(self.token)


@dataclass
class Subject:
    """The cluster; `dsn` is its database as the superuser, `people` who has not been used up yet."""

    cluster: SeparateCluster
    platform: Platform
    people: list[Person] = field(default_factory=list)
    text_version: str = ""

    @property
    def gateway(self) -> str:
        """The gateway."""
        return self.cluster.url

    @property
    def identity(self) -> str:
        """Identity's API, without the gateway."""
        return f"http://127.0.0.1:{self.cluster.values['IDENTITY_PORT']}"

    @property
    def dsn(self) -> str:
        """The superuser, in the services' database."""
        return f"{self.platform.servers.postgres_dsn.rpartition('/')[0]}/{DATABASE}"

    @property
    def amqp(self) -> str:
        """The broker's admin, in a virtual host of its own."""
        return self.platform.servers.broker_url(ADMIN, "%2F")

    async def sign_in(self, count: int) -> list[Person]:
        """Create accounts and sign them in through the gateway."""
        with self.platform.variables_of("identity"):
            stored = scheme(IdentitySettings()).hash(PASSWORD)
        emails = iter(await create_accounts(self.platform, count, password_hash=stored))
        signed_in: list[Person] = []

        async def client() -> None:
            async with Connection(self.gateway) as connection:
                for email in emails:
                    body = {"email": email, "password": PASSWORD}
                    answer = await connection.send(request("POST", f"{API}/auth/login/json", body=body))
                    expect(answer, 200)
                    signed_in.append(Person(email, answer.document["access_token"]))

        await asyncio.gather(*(client() for _ in range(SIGN_IN_CLIENTS)))
        return signed_in

    async def agree(self, people: list[Person]) -> None:
        """Have each of them agree to pictures."""
        async with Connection(self.gateway) as connection:
            for person in people:
                expect(await connection.send(self.grant(person)), 201)

    def grant(self, person: Person, consent_type: str = "biometric_capture") -> bytes:
        """Return the request with which a person agrees, as in Germany."""
        body = {
            "consent_type": consent_type,
            "jurisdiction": "gdpr",
            "consent_text_version": self.text_version,
        }
        return request("POST", f"{API}/privacy/consent", headers=person.headers, body=body)

    async def read_text_version(self) -> None:
        """Look up which text is shown in Germany."""
        async with Connection(self.gateway) as connection:
            answer = await connection.send(request("GET", f"{API}/privacy/jurisdiction?country_code=DE"))
        expect(answer, 200)
        self.text_version = str(answer.document["consent_text_version"])

    async def value(self, query: str, *arguments: object) -> object:
        """Return what a query of the superuser finds."""
        connection = await self.connect()
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    async def connect(self) -> asyncpg.Connection:
        """Return a connection of the superuser."""
        return await asyncpg.connect(self.dsn)

    async def quiesce(self) -> None:
        """Wait until everything that was announced has been taken in, and every erasure is over."""
        connection = await self.connect()
        counts = [f"(SELECT count(*) FROM {service}.outbox)" for service in DATABASE_SERVICES]
        tasks = [
            f"(SELECT count(*) FROM {service}.erasure_tasks WHERE completed_at IS NULL)"
            for service in DATABASE_SERVICES
        ]
        try:
            await until_zero(connection, f"SELECT {' + '.join([*counts, *tasks])}")
        finally:
            await connection.close()


async def until_zero(connection: asyncpg.Connection, query: str) -> None:
    """Wait until a count is zero; raises TimeoutError after five minutes."""
    async with asyncio.timeout(WAIT_SECONDS):
        while await connection.fetchval(query):
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def whole_cluster() -> AsyncIterator[Subject]:
    """Start a cluster natively, with durable commits and without limits, for the length of the block."""
    # What limits one person, or one address, would end a load that one machine plays for many.
    with separate_cluster("native", **LIFTED) as cluster:
        yield Subject(cluster, Platform(cluster.servers))

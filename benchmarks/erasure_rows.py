"""Rows about erasures and events: the answer, the end, a storm, and the way into another service."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import TypeVar
from uuid import UUID

import asyncpg

from benchmarks import machine, processes
from benchmarks.client import Connection, request
from benchmarks.comparison import Row, Sample
from benchmarks.load import expect
from benchmarks.references import chain
from benchmarks.subject import API, Person, Subject, until_zero
from chassis.ids import new_id
from contracts.consent import ConsentGranted
from contracts.envelope import wrap
from contracts.fields import ConsentType

ONE_BY_ONE = 30
PER_SECOND = 20
AT_A_RATE = 60
STORM_CLIENTS = 8
BACKLOG = 3000
T = TypeVar("T")
Delete = Callable[[T], Awaitable[dict[UUID, datetime]]]
OUTBOX = ("event_id", "type", "subject", "body", "mandatory")


class Ours:
    """Deletions of people in the cluster."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    async def people(self, count: int) -> list[Person]:
        """Return people who have agreed to pictures, and of whom nothing is under way."""
        while len(self._subject.people) < count:
            self._subject.people += await self._subject.sign_in(count)
        taken, self._subject.people = self._subject.people[:count], self._subject.people[count:]
        await self._subject.agree(taken)
        await self._subject.quiesce()
        return taken

    async def answers(self) -> Sample:
        """Return how many milliseconds the answer to one deletion takes, p50."""
        return Sample(median((await self.one_by_one(await self.people(ONE_BY_ONE)))[0]))

    async def ends(self) -> Sample:
        """Return how many milliseconds pass until one person is erased everywhere, p50."""
        return Sample(median((await self.one_by_one(await self.people(ONE_BY_ONE)))[1]))

    async def ends_at_a_rate(self) -> Sample:
        """Return the same at 20 deletions per second."""
        began = await _at_a_rate(await self.people(AT_A_RATE), self._delete)
        return Sample(median(await self._ended(began)))

    async def storm(self, count: int) -> Sample:
        """Return how many people per second are erased everywhere, all of them asked for at once."""
        people = await self.people(count)
        before = machine.usage()
        await _together(people, self._delete)
        await self._subject.quiesce()
        after = machine.usage()
        cpu = machine.served_seconds(before, after) * 1000 / count
        return Sample(count / (after.at - before.at), cpu)

    async def delivery(self) -> Sample:
        """Return how many announced consents per second storage takes in."""
        connection = await self._subject.connect()
        before = await connection.fetchval("SELECT count(*) FROM storage.inbox")
        began = time.monotonic()
        try:
            async with connection.transaction():
                await connection.copy_records_to_table(
                    "outbox", schema_name="consent", columns=OUTBOX, records=_granted(BACKLOG)
                )
                await connection.execute("SELECT pg_notify('consent_work', 'outbox')")
            await until_zero(
                connection,
                f"SELECT {int(before) + BACKLOG} - (SELECT count(*) FROM storage.inbox)",
            )
        finally:
            await connection.close()
        return Sample(BACKLOG / (time.monotonic() - began))

    async def one_by_one(self, people: Sequence[Person]) -> tuple[list[float], list[float]]:
        """Return the milliseconds until each of them is answered, and until each is erased everywhere."""
        took: list[float] = []
        began: dict[UUID, datetime] = {}
        for person in people:
            at = time.perf_counter()
            began |= await self._delete(person)
            took.append((time.perf_counter() - at) * 1000)
            await self._subject.quiesce()
        return took, await self._ended(began)

    async def _delete(self, person: Person) -> dict[UUID, datetime]:
        now = datetime.now(UTC)
        async with Connection(self._subject.gateway) as connection:
            ask = request("DELETE", f"{API}/users/me", headers=person.headers, body={"confirm": True})
            answer = await connection.send(ask)
        expect(answer, 200)
        return {UUID(answer.document["erasure_id"]): now}

    async def _ended(self, began: dict[UUID, datetime]) -> list[float]:
        connection = await self._subject.connect()
        query = "SELECT id, completed_at FROM identity.erasures WHERE id = ANY($1)"
        try:
            await until_zero(connection, "SELECT count(*) FROM identity.erasures WHERE completed_at IS NULL")
            rows = await connection.fetch(query, list(began))
        finally:
            await connection.close()
        return [(row["completed_at"] - began[row["id"]]).total_seconds() * 1000 for row in rows]


class Bare:
    """The same people in the bare chain."""

    def __init__(self, subject: Subject, pool: asyncpg.Pool) -> None:
        self._subject = subject
        self._pool = pool

    async def _people(self, count: int) -> list[UUID]:
        people = [new_id() for _ in range(count)]
        async with self._pool.acquire() as connection:
            await chain.add_people(connection, people)
        return people

    async def commits(self) -> Sample:
        """Return how many milliseconds the chain's commit takes, p50."""
        took = []
        for person in await self._people(ONE_BY_ONE):
            at = time.perf_counter()
            await chain.erase(self._pool, person)
            took.append((time.perf_counter() - at) * 1000)
            await self._until_done([person])
        return Sample(median(took))

    async def ends(self) -> Sample:
        """Return how many milliseconds pass until the last service has committed, p50."""
        began: dict[UUID, datetime] = {}
        for person in await self._people(ONE_BY_ONE):
            began |= await self._delete(person)
            await self._until_done([person])
        return Sample(median(await self._ended(began)))

    async def ends_at_a_rate(self) -> Sample:
        """Return the same at 20 deletions per second."""
        people = await self._people(AT_A_RATE)
        began = await _at_a_rate(people, self._delete)
        await self._until_done(people)
        return Sample(median(await self._ended(began)))

    async def storm(self, count: int) -> Sample:
        """Return how many people per second are erased, all of them asked for at once."""
        people = await self._people(count)
        before = machine.usage()
        await _together(people, self._delete)
        await self._until_done(people)
        after = machine.usage()
        # The chain's commits are made in this process, so its own time counts.
        busy = after.machine - before.machine
        return Sample(count / (after.at - before.at), busy * 1000 / count)

    async def delivery(self) -> Sample:
        """Return how many rows per second of a backlog one service has taken in."""
        people = await self._people(BACKLOG)
        began = time.monotonic()
        async with self._pool.acquire() as connection:
            await connection.execute(
                "INSERT INTO benchmark.outbox (event_id, body) SELECT id, to_json(id)::text"
                " FROM unnest($1::uuid[]) AS id",
                people,
            )
            await connection.execute("NOTIFY benchmark")
        await self._until_done(people, services=1)
        return Sample(BACKLOG / (time.monotonic() - began))

    async def _delete(self, person: UUID) -> dict[UUID, datetime]:
        now = datetime.now(UTC)
        await chain.erase(self._pool, person)
        return {person: now}

    async def _until_done(self, people: Sequence[UUID], services: int = len(chain.SERVICES)) -> None:
        names = ", ".join(f"'{name}'" for name in chain.SERVICES[:services])
        wanted = len(people) * services
        done = f"SELECT count(*) FROM benchmark.done WHERE service IN ({names}) AND user_id = ANY($1)"
        async with self._pool.acquire() as connection, asyncio.timeout(300):
            while await connection.fetchval(done, people) < wanted:
                await asyncio.sleep(0.002 if len(people) == 1 else 0.05)

    async def _ended(self, began: dict[UUID, datetime]) -> list[float]:
        query = "SELECT user_id, max(at) AS at FROM benchmark.done WHERE user_id = ANY($1) GROUP BY 1"
        rows = await self._pool.fetch(query, list(began))
        return [(row["at"] - began[row["user_id"]]).total_seconds() * 1000 for row in rows]


async def erasure_rows(subject: Subject, stack: AsyncExitStack, *, storm: int) -> list[Row]:
    """Compare erasures with the bare chain on the same servers."""
    await chain.prepare(subject.dsn, subject.amqp)
    module = [sys.executable, "-m", "benchmarks.references.chain"]
    for role in (["relay"], *(["consume", service] for service in chain.SERVICES)):
        command = [*module, role[0], subject.dsn, subject.amqp, *role[1:]]
        await stack.enter_async_context(processes.running(command))
    pool = await stack.enter_async_context(
        asyncpg.create_pool(subject.dsn, min_size=STORM_CLIENTS, max_size=STORM_CLIENTS)
    )
    ours, bare = Ours(subject), Bare(subject, pool)
    return [
        Row("DELETE answer p50 / the chain's commit", "ms", ours.answers, bare.commits, 3, at_most=True),
        Row("erased everywhere p50, one at a time / the chain", "ms", ours.ends, bare.ends, 3, at_most=True),
        Row(
            "erased everywhere p50, 20 per second / the chain",
            "ms",
            ours.ends_at_a_rate,
            bare.ends_at_a_rate,
            3,
            at_most=True,
        ),
        Row(
            f"storm of {storm} deletions / the chain",
            "per s",
            partial(ours.storm, storm),
            partial(bare.storm, storm),
            0.5,
        ),
        Row("outbox to storage / the chain", "per s", ours.delivery, bare.delivery, 0.5),
    ]


async def _at_a_rate(people: Sequence[T], delete: Delete[T]) -> dict[UUID, datetime]:
    """Begin a deletion every twentieth of a second, whatever became of the one before."""
    began: dict[UUID, datetime] = {}
    start = time.monotonic()

    async def one(number: int, person: T) -> None:
        await asyncio.sleep(max(0.0, start + number / PER_SECOND - time.monotonic()))
        began.update(await delete(person))

    await asyncio.gather(*(one(number, person) for number, person in enumerate(people)))
    return began


async def _together(people: Sequence[T], delete: Delete[T]) -> None:
    """Delete all of them, so many at a time."""
    waiting = iter(people)

    async def client() -> None:
        for person in waiting:
            await delete(person)

    await asyncio.gather(*(client() for _ in range(STORM_CLIENTS)))


def _granted(count: int) -> list[tuple[object, ...]]:
    now = datetime.now(UTC)
    rows: list[tuple[object, ...]] = []
    for _ in range(count):
        event = ConsentGranted(
            user_id=new_id(),
            consent_id=new_id(),
            consent_type=ConsentType.BIOMETRIC_CAPTURE,
            jurisdiction="gdpr",
            consent_text_version="1.0",
            epoch=1,
            granted_at=now,
        )
        envelope = wrap(event, event_id=new_id(), time=now)
        rows.append((envelope.id, envelope.type, envelope.subject, envelope.to_json(), True))
    return rows

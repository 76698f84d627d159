"""The bare chain: what an event-driven erasure costs with nothing around it.

One transaction deletes the person's rows and writes an outbox row; a relay claims, publishes with confirms
and deletes; each service's consumer, in one transaction, notes the event in its inbox and deletes three rows.
`python -m benchmarks.references.chain relay|consume DSN AMQP [SERVICE]` is one of its processes.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from uuid import UUID

import aio_pika
import asyncpg
import uvloop
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustExchange

SERVICES = ("one", "two", "three")
EXCHANGE = "benchmark"
BATCH = 100
PREFETCH = 32
ROWS_PER_SERVICE = 3

SCHEMA = """
    DROP SCHEMA IF EXISTS benchmark CASCADE;
    CREATE SCHEMA benchmark;
    CREATE TABLE benchmark.users (id uuid PRIMARY KEY);
    CREATE TABLE benchmark.outbox (id bigserial PRIMARY KEY, event_id uuid NOT NULL, body text NOT NULL);
    CREATE TABLE benchmark.inbox (service text, event_id uuid, PRIMARY KEY (service, event_id));
    CREATE TABLE benchmark.done (
        service text, user_id uuid, at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (user_id, service)
    );
    CREATE TABLE benchmark.held (
        service text, user_id uuid, number int, PRIMARY KEY (service, user_id, number)
    );
"""
CLAIM = f"""
    DELETE FROM benchmark.outbox WHERE id = ANY(ARRAY(
        SELECT id FROM benchmark.outbox ORDER BY id LIMIT {BATCH} FOR UPDATE SKIP LOCKED
    )) RETURNING event_id, body
"""


async def add_people(connection: asyncpg.Connection, people: Sequence[UUID]) -> None:
    """Write people, and what each service holds of them."""
    await connection.execute("INSERT INTO benchmark.users SELECT unnest($1::uuid[])", people)
    await connection.execute(
        "INSERT INTO benchmark.held SELECT service, id, number FROM unnest($1::uuid[]) AS id,"
        " unnest($2::text[]) AS service, generate_series(1, $3) AS number",
        people,
        SERVICES,
        ROWS_PER_SERVICE,
    )
    await connection.execute("ANALYZE")


async def erase(pool: asyncpg.Pool, person: UUID) -> None:
    """Delete a person and announce it, in one transaction."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("DELETE FROM benchmark.users WHERE id = $1", person)
        await connection.execute(
            "INSERT INTO benchmark.outbox (event_id, body) VALUES ($1, $2)", person, json.dumps(str(person))
        )
        await connection.execute("NOTIFY benchmark")


async def relay(dsn: str, amqp: str) -> None:
    """Publish what the outbox holds, for ever."""
    connection = await asyncpg.connect(dsn)
    woken = asyncio.Event()
    await connection.add_listener("benchmark", lambda *_: woken.set())
    broker = await aio_pika.connect_robust(amqp)
    channel = await broker.channel(publisher_confirms=True)
    exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
    worker = await asyncpg.connect(dsn)
    while True:
        woken.clear()
        async with worker.transaction():
            rows = await worker.fetch(CLAIM)
            await asyncio.gather(*(_publish(exchange, row["body"], row["event_id"]) for row in rows))
        if len(rows) < BATCH:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), 1)


async def _publish(exchange: AbstractRobustExchange, body: str, event_id: UUID) -> None:
    message = aio_pika.Message(
        body.encode(), message_id=str(event_id), delivery_mode=aio_pika.DeliveryMode.PERSISTENT
    )
    await exchange.publish(message, routing_key="erase")


async def consume(dsn: str, amqp: str, service: str) -> None:
    """Apply what arrives, as much as has arrived in one transaction, for ever."""
    connection = await asyncpg.connect(dsn)
    broker = await aio_pika.connect_robust(amqp)
    channel = await broker.channel()
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await declare(channel, service)
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    await queue.consume(arrived.put)
    while True:
        batch = [await arrived.get()]
        while not arrived.empty():
            batch.append(arrived.get_nowait())
        people = [UUID(json.loads(message.body)) for message in batch]
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO benchmark.inbox SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING",
                service,
                people,
            )
            await connection.execute(
                "DELETE FROM benchmark.held WHERE service = $1 AND user_id = ANY($2)", service, people
            )
            await connection.execute(
                "INSERT INTO benchmark.done SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING",
                service,
                people,
            )
        await batch[-1].ack(multiple=True)


async def declare(channel: aio_pika.abc.AbstractChannel, service: str) -> aio_pika.abc.AbstractQueue:
    """Return a service's quorum queue, bound."""
    queue = await channel.declare_queue(
        f"benchmark.{service}", durable=True, arguments={"x-queue-type": "quorum"}
    )
    await queue.bind(EXCHANGE, "erase")
    return queue


async def prepare(dsn: str, amqp: str) -> None:
    """Make the schema, the exchange and the queues, anew."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(SCHEMA)
    finally:
        await connection.close()
    async with await aio_pika.connect(amqp) as broker:
        channel = await broker.channel()
        await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        for service in SERVICES:
            await declare(channel, service)


def main() -> None:
    """Be the process that the command line names."""
    kind, dsn, amqp, *service = sys.argv[1:]
    uvloop.run(relay(dsn, amqp) if kind == "relay" else consume(dsn, amqp, *service))


if __name__ == "__main__":
    main()

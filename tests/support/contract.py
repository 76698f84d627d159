"""The consumer side of the contract: every golden example goes through the real consumer, twice."""

from collections.abc import Iterator, Sequence

from sqlalchemy import func, select

from chassis.consumer import Consumer, Inbound, Outcome
from chassis.db import Database
from contracts.envelope import parse_head
from contracts.topology import subscriptions_of
from event_schemas.frozen import examples_of


def assert_consumes_its_topology(service: str, consumers: Sequence[Consumer]) -> None:
    """Assert that the service consumes exactly the queues and types that the topology gives it."""
    declared = {entry.queue: set(entry.types) for entry in subscriptions_of(service)}
    wired = {consumer.queue: {event.type for event in consumer.handlers} for consumer in consumers}
    assert wired == declared


async def assert_examples_act_once(database: Database, consumers: Sequence[Consumer]) -> None:
    """Deliver each golden example of each consumed type twice; both end well, one acts."""
    for consumer, body in _deliveries(consumers):
        inbound = Inbound(database, consumer)
        assert await inbound.process(body) is Outcome.DONE
        written = await _written(database)
        assert await inbound.process(body) is Outcome.DONE
        assert await _written(database) == written, f"{consumer.queue} acted twice"
        assert await _inbox_rows(database, consumer, body) == 1


def _deliveries(consumers: Sequence[Consumer]) -> Iterator[tuple[Consumer, bytes]]:
    for consumer in consumers:
        for event in consumer.handlers:
            examples = examples_of(event.type)
            assert examples, f"{event.type} has no golden example"
            for example in examples:
                yield consumer, example.body


async def _inbox_rows(database: Database, consumer: Consumer, body: bytes) -> int:
    inbox = database.tables.inbox
    statement = select(func.count()).where(
        inbox.c.consumer == consumer.queue, inbox.c.event_id == parse_head(body).id
    )
    async with database.engine.connect() as connection:
        return int(await connection.scalar(statement) or 0)


async def _written(database: Database) -> dict[str, int]:
    """Return how many rows stand in each table that a handler may add to without knowing it."""
    counts = {}
    tables = database.tables
    async with database.engine.connect() as connection:
        for table in (tables.outbox, tables.dead_letters, tables.tombstones, tables.erasure_tasks):
            counts[table.name] = int(await connection.scalar(select(func.count()).select_from(table)) or 0)
    return counts

"""Dead letters: messages that a service could not handle. Operators are told for as long as any is left."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import timedelta

import structlog
from sqlalchemy import func, insert, select

from chassis.broker import BrokerConnection
from chassis.db import Database
from chassis.faults import is_transient
from chassis.inbox import purge_older
from chassis.problems import describe
from contracts.envelope import Head
from contracts.topology import dead_letter_queue

KEEP = timedelta(days=90)
LOOK_SECONDS = 60.0
RETRY_SECONDS = 2.0
LONGEST_TYPE = 100
LONGEST_ERROR = 200

log = structlog.get_logger(__name__)


class DeadLetters:
    """What lies among the dead letters of a service: records in its schema, messages at the broker."""

    def __init__(self, database: Database, inbound: BrokerConnection, queues: Sequence[str]) -> None:
        self._database = database
        self._inbound = inbound
        self._queues = queues
        self.records = 0
        self.messages: dict[str, int] = {}

    async def watch(self) -> None:
        """Look every minute until cancelled, and say in the log what is there."""
        while True:
            pause = LOOK_SECONDS
            try:
                await self.look()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("dead_letters_not_seen", error=describe(error))
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """Count both; raises what the database or the broker raises."""
        table = self._database.tables.dead_letters
        async with self._database.read_only() as session:
            self.records = int(await session.scalar(select(func.count()).select_from(table)) or 0)
        found = {queue: await self._inbound.messages_in(dead_letter_queue(queue)) for queue in self._queues}
        self.messages = {queue: number for queue, number in found.items() if number}
        if self.records or self.messages:
            log.error("dead_letters_wait", records=self.records, messages=self.messages)

    async def tell(self) -> str | None:
        """Return what the last look has found, for readiness: an alarm, not a reason to be unready."""
        messages = sum(self.messages.values())
        return f"{self.records} records and {messages} messages wait" if self.records or messages else None


async def record_dead_letter(
    database: Database, queue: str, body: bytes, error: Exception, head: Head | None
) -> None:
    """Record a message that is about to be rejected, without its payload; `head` if that is readable."""
    async with database.unit_of_work() as uow:
        await uow.session.execute(
            insert(uow.tables.dead_letters).values(
                consumer=queue,
                event_id=head.id if head else None,
                type=head.type[:LONGEST_TYPE] if head else None,
                body_digest=hashlib.sha256(body).hexdigest(),
                error_class=describe(error)[:LONGEST_ERROR],
            )
        )


async def purge_dead_letters(database: Database) -> int:
    """Forget records that operators have been told of for 90 days; return how many."""
    forgotten = await purge_older(database, database.tables.dead_letters.c.parked_at, keep=KEEP)
    if forgotten:
        log.error("dead_letters_forgotten", records=forgotten, after_days=KEEP.days)
    return forgotten

"""Dead letters: messages that a service could not handle. Operators are told for as long as any is left.

One that names somebody who was erased since is taken out: it may not act any more, and must not outlive them.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import func, insert, select

from chassis.broker import BrokerConnection
from chassis.db import Database
from chassis.faults import is_transient
from chassis.inbox import purge_older
from chassis.parked import take_out
from chassis.problems import describe
from contracts.envelope import Head
from contracts.topology import dead_letter_queue

KEEP = timedelta(days=90)
LOOK_SECONDS = 60.0
RETRY_SECONDS = 2.0
TOGETHER_SECONDS = 3.0
_IDS = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
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
        # How many messages were left, and how far the erasure journal was, when it was last looked through.
        self._seen: dict[str, tuple[int, int]] = {}

    async def watch(self) -> None:
        """Look every minute, and when people are erased, until cancelled; say in the log what is there."""
        erased = self._database.notifications.event(self._database.tables.erasure_tasks.name)
        while True:
            pause = LOOK_SECONDS
            erased.clear()
            try:
                await self.look()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("dead_letters_not_seen", error=describe(error))
                pause = RETRY_SECONDS
            await _rest(erased, seconds=pause)

    async def look(self) -> None:
        """Count both, and take out what names erased people; raises what database or broker raise."""
        table = self._database.tables.dead_letters
        async with self._database.read_only() as session:
            self.records = int(await session.scalar(select(func.count()).select_from(table)) or 0)
        found = {queue: await self._inbound.messages_in(dead_letter_queue(queue)) for queue in self._queues}
        self.messages = {queue: number for queue, number in found.items() if number}
        if self.records or self.messages:
            log.error("dead_letters_wait", records=self.records, messages=dict(self.messages))
        await self._take_out_erased()

    async def _take_out_erased(self) -> None:
        """Look through each queue in which a message has come, or since which somebody was erased."""
        head = self._database.tables.journal_head
        async with self._database.read_only() as session:
            # Each page of the erasure journal is about people who were erased since the one before.
            erased = int(await session.scalar(select(head.c.position)) or 0)
        for queue, number in list(self.messages.items()):
            if self._seen.get(queue) == (number, erased):
                continue
            gone = await take_out(self._inbound, dead_letter_queue(queue), self._name_somebody_erased)
            if gone:
                log.info("dead_letters_of_erased_people_removed", queue=queue, messages=gone)
            self.messages[queue] = number - gone
            self._seen[queue] = (number - gone, erased)
        self.messages = {queue: number for queue, number in self.messages.items() if number > 0}

    async def _name_somebody_erased(self, bodies: Sequence[bytes]) -> list[bool]:
        """Tell of messages, readable or not, whether an id in them is that of somebody with a tombstone."""
        keys = self._database.tombstone_keys
        named = [
            {it for found in set(_IDS.findall(body)) for it in keys.hashes(UUID(found.decode())).split(",")}
            for body in bodies
        ]
        stones = self._database.tables.tombstones.c.subject_hash
        async with self._database.read_only() as session:
            found = await session.scalars(select(stones).where(stones.in_(set().union(*named))))
            buried = set(found)
        return [not buried.isdisjoint(hashes) for hashes in named]

    async def tell(self) -> str | None:
        """Return what the last look has found, for readiness: an alarm, not a reason to be unready."""
        messages = sum(self.messages.values())
        return f"{self.records} records and {messages} messages wait" if self.records or messages else None


async def _rest(erased: asyncio.Event, *, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await erased.wait()
    except TimeoutError:
        # Nobody was erased meanwhile, or the wake-up got lost.
        return
    # Who is erased in the same moment is looked for together.
    await asyncio.sleep(TOGETHER_SECONDS)


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

"""The relay: brings every outbox row to the broker, in order per subject, and never gives up on one.

A row is claimed with a lease by the database's clock, published outside that transaction, and deleted only
by the holder of the lease after the broker's confirm. A crash at any point leads to a second delivery, which
the inbox absorbs, and never to a lost one.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import structlog
from aio_pika.exceptions import DeliveryError
from sqlalchemy import bindparam, text
from sqlalchemy.engine import make_url

from chassis.broker import BrokerUnavailable, OutgoingMessage, Publisher
from chassis.db import Database
from chassis.faults import asked_to_stop, is_transient
from contracts.envelope import parse_head
from contracts.topology import heard_by_someone

BATCH = 100
IN_FLIGHT = 50
LEASE_SECONDS = 30
IDLE_POLL_SECONDS = 1.0
BROKER_BACKOFF_SECONDS = (0.2, 2.0)
ROW_BACKOFF_SECONDS = (1.0, 60.0)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ClaimedRow:
    """An outbox row under our lease."""

    position: int
    event_id: UUID
    type: str
    body: bytes
    attempts: int
    created_at: datetime


@dataclass(frozen=True)
class OutboxState:
    """What an operator wants to know of the outbox."""

    waiting: int
    oldest_seconds: float


class Relay:
    """Moves the outbox of one schema to the broker; any number of relays may run."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self._publisher = publisher
        self._wake = asyncio.Event()
        self._statements = _Statements(database.schema)

    async def run(self) -> None:
        """Relay until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name="outbox-listen")
            tasks.create_task(self._relay_forever(), name="outbox-relay")

    async def relay_once(self) -> int:
        """Claim and publish one batch; return how many rows left the outbox.

        Raises `BrokerUnavailable` when the broker is away; the claimed rows are free again then.
        """
        token = uuid4()
        rows = await self._claim(token)
        if not rows:
            return 0
        limit = asyncio.Semaphore(IN_FLIGHT)
        # A lost connection ends a pending publish with CancelledError: as a result of gather it is a
        # failed publish like any other, while our own cancellation still ends this coroutine.
        results = await asyncio.gather(*(self._publish(row, limit) for row in rows), return_exceptions=True)
        return await self._settle(token, list(zip(rows, results, strict=True)))

    async def state(self) -> OutboxState:
        """Return how many rows wait and for how long the oldest has."""
        async with self._database.engine.connect() as connection:
            row = (await connection.execute(self._statements.state)).one()
        return OutboxState(waiting=row.waiting, oldest_seconds=float(row.oldest_seconds))

    async def _relay_forever(self) -> None:
        pause = BROKER_BACKOFF_SECONDS[0]
        while True:
            self._wake.clear()
            moved = await self._relay_unless_interrupted()
            if moved is None:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spread, not secrecy
                pause = min(pause * 2, BROKER_BACKOFF_SECONDS[1])
                continue
            pause = BROKER_BACKOFF_SECONDS[0]
            if moved == 0:
                await self._wait_for_work()

    async def _relay_unless_interrupted(self) -> int | None:
        """Relay one batch; None when something was away that comes back by itself."""
        interruption: BaseException
        try:
            return await self.relay_once() if await self._publisher.is_connected() else None
        except asyncio.CancelledError as error:
            if asked_to_stop():
                raise
            interruption = error
        except Exception as error:
            if not is_transient(error):
                raise
            interruption = error
        log.warning("relay_interrupted", service=self._database.schema, error=type(interruption).__name__)
        return None

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(IDLE_POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _claim(self, token: UUID) -> Sequence[ClaimedRow]:
        parameters = {"token": token, "lease": LEASE_SECONDS, "batch": BATCH}
        async with self._database.engine.begin() as connection:
            rows = (await connection.execute(self._statements.claim, parameters)).all()
        return [ClaimedRow(*row) for row in sorted(rows)]

    async def _publish(self, row: ClaimedRow, limit: asyncio.Semaphore) -> None:
        head = parse_head(row.body)
        async with limit:
            await self._publisher.publish(
                OutgoingMessage(
                    event_id=row.event_id,
                    type=row.type,
                    producer=self._database.schema,
                    body=row.body,
                    time=row.created_at,
                    traceparent=head.traceparent,
                    mandatory=heard_by_someone(row.type),
                )
            )

    async def _settle(self, token: UUID, results: list[tuple[ClaimedRow, BaseException | None]]) -> int:
        confirmed = [row.position for row, error in results if error is None]
        # Returned, because nothing is bound to its type, or rejected, because a queue is full.
        refused = [(row, error) for row, error in results if isinstance(error, DeliveryError)]
        unknown = [
            (row, error)
            for row, error in results
            if error is not None and not isinstance(error, DeliveryError)
        ]
        async with self._database.engine.begin() as connection:
            if confirmed:
                await connection.execute(self._statements.delete, {"token": token, "positions": confirmed})
            for row, error in refused:
                await connection.execute(self._statements.postpone, self._postponement(token, row, error))
            if unknown:
                positions = [row.position for row, _ in unknown]
                await connection.execute(self._statements.release, {"token": token, "positions": positions})
        if unknown:
            log.warning("publish_failed", rows=len(unknown), error=type(unknown[0][1]).__name__)
            raise BrokerUnavailable
        return len(confirmed)

    def _postponement(self, token: UUID, row: ClaimedRow, error: BaseException) -> dict[str, Any]:
        # A refusal is about this row, which waits by itself while rows of other subjects go on.
        shortest, longest = ROW_BACKOFF_SECONDS
        seconds = min(shortest * 2**row.attempts, longest) * random.uniform(0.5, 1.5)  # noqa: S311
        log.error("event_refused", type=row.type, event_id=str(row.event_id), attempts=row.attempts + 1)
        return {
            "token": token,
            "position": row.position,
            "seconds": seconds,
            "error": type(error).__name__,
        }

    async def _listen(self) -> None:
        # Notifications only shorten the wait; the poll finds every row without them.
        url = make_url(self._database.url.get_secret_value()).set(drivername="postgresql")
        while True:
            try:
                connection = await asyncpg.connect(url.render_as_string(hide_password=False), timeout=5)
                try:
                    await connection.add_listener(self._database.channel, lambda *_: self._wake.set())
                    while not connection.is_closed():
                        await connection.execute("SELECT 1", timeout=5)
                        await asyncio.sleep(10)
                finally:
                    await connection.close(timeout=2)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("outbox_listen_interrupted", error=type(error).__name__)
            await asyncio.sleep(1)


class _Statements:
    """The relay's SQL for one schema."""

    def __init__(self, schema: str) -> None:
        outbox = f'"{schema}".outbox'
        self.claim = text(
            f"""
            WITH head AS (
                SELECT o.position FROM {outbox} o
                WHERE o.next_attempt_at <= clock_timestamp()
                  AND (o.lease_until IS NULL OR o.lease_until < clock_timestamp())
                  AND NOT EXISTS (
                      SELECT 1 FROM {outbox} earlier
                      WHERE earlier.subject = o.subject AND earlier.position < o.position)
                ORDER BY o.position
                LIMIT :batch
                FOR UPDATE SKIP LOCKED)
            UPDATE {outbox} o
            SET lease_token = :token, lease_until = clock_timestamp() + make_interval(secs => :lease)
            FROM head WHERE o.position = head.position
            RETURNING o.position, o.event_id, o.type, o.body, o.attempts, o.created_at
            """  # noqa: S608 - the schema is a constant of the service
        )
        self.delete = text(
            f"DELETE FROM {outbox} WHERE lease_token = :token AND position IN :positions"  # noqa: S608
        ).bindparams(bindparam("positions", expanding=True))
        self.release = text(
            f"UPDATE {outbox} SET lease_token = NULL, lease_until = NULL "  # noqa: S608
            "WHERE lease_token = :token AND position IN :positions"
        ).bindparams(bindparam("positions", expanding=True))
        self.postpone = text(
            f"UPDATE {outbox} SET lease_token = NULL, lease_until = NULL, attempts = attempts + 1, "  # noqa: S608
            "next_attempt_at = clock_timestamp() + make_interval(secs => :seconds), last_error = :error "
            "WHERE lease_token = :token AND position = :position"
        )
        self.state = text(
            f"""
            SELECT count(*) AS waiting,
                   coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0) AS oldest_seconds
            FROM {outbox}
            """  # noqa: S608
        )

"""The relay: brings every outbox row to the broker, and never gives up on one.

The outbox is a work table: a row is published outside every transaction, and removed only by the holder of
its lease after the broker's confirm. A crash at any point leads to a second delivery, which the inbox
absorbs, and never to a lost one. Rows leave side by side: no order is promised, of one subject either.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from aio_pika.exceptions import DeliveryError

from chassis.broker import BrokerUnavailable, OutgoingMessage, Publisher
from chassis.db import Database
from chassis.faults import asked_to_stop
from chassis.work_table import Claimed, Depth, WorkTable
from contracts.envelope import is_declared, parse_head
from contracts.topology import has_queue, may_be_unroutable

BATCH = 100
IN_FLIGHT = 50
ROW_BACKOFF_SECONDS = (1.0, 60.0)
PACE_SECONDS = 0.02
"""How soon one look at the outbox may follow another: a look costs as much for one row as for many."""

log = structlog.get_logger(__name__)


def _must_be_heard(row: Any) -> bool:
    """Tell whether a publish of that row that reaches no queue is an error: as its author has it."""
    if may_be_unroutable(row.type):
        return False
    if row.mandatory is not None:
        return bool(row.mandatory)
    # Written before authors said so. Of a type that this release does not know, nobody here can tell whether
    # it may be lost.
    return has_queue(row.type) or not is_declared(row.type)


class Relay:
    """Moves the outbox of one schema to the broker; any number of relays may run."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self._publisher = publisher
        outbox = database.tables.outbox
        self._rows = WorkTable(
            database, outbox, order_by=outbox.c.position, backoff_seconds=ROW_BACKOFF_SECONDS
        )

    async def run(self) -> None:
        """Relay until cancelled."""
        await self._rows.run_batches(
            self._relay, size=BATCH, holds=(BrokerUnavailable,), pace_seconds=PACE_SECONDS
        )

    async def relay_once(self) -> int:
        """Claim and publish one batch; return how many rows were claimed.

        Raises `BrokerUnavailable` when the broker is away; what it has not confirmed is free again then.
        """
        claimed = await self._rows.claim(BATCH)
        try:
            await self._relay(claimed)
        except BrokerUnavailable:
            await self._rows.release(claimed)
            raise
        return len(claimed)

    async def depth(self) -> Depth:
        """Return how many rows wait and for how long the oldest has."""
        return await self._rows.depth()

    def seconds_since_turn(self) -> float:
        """Return how long ago the relay last looked at the outbox: a few seconds, unless it hangs."""
        return self._rows.seconds_since_turn()

    async def _relay(self, claimed: Sequence[Claimed]) -> None:
        rows = sorted(claimed, key=lambda each: each.key)
        if rows and not await self._is_connected():
            raise BrokerUnavailable
        limit = asyncio.Semaphore(IN_FLIGHT)
        # A lost connection ends a pending publish with CancelledError: as a result of gather it is a
        # failed publish like any other, while our own cancellation still ends this coroutine.
        results = await asyncio.gather(*(self._publish(row, limit) for row in rows), return_exceptions=True)
        suspects = await self._settle(list(zip(rows, results, strict=True)))
        await self._try_one_by_one(suspects)

    async def _publish(self, claimed: Claimed, limit: asyncio.Semaphore) -> None:
        async with limit:
            await self._publisher.publish(self._message_of(claimed))

    def _message_of(self, claimed: Claimed) -> OutgoingMessage:
        row = claimed.row
        return OutgoingMessage(
            event_id=row.event_id,
            type=row.type,
            producer=self._database.schema,
            body=row.body,
            time=row.created_at,
            traceparent=parse_head(row.body).traceparent,
            mandatory=_must_be_heard(row),
        )

    async def _settle(self, results: Sequence[tuple[Claimed, BaseException | None]]) -> list[Claimed]:
        """Remove what was confirmed, postpone what was refused; return what nothing is known of.

        Raises `BrokerUnavailable` when a publish said that there is no connection.
        """
        async with self._database.one_statement() as session:
            await self._rows.remove(session, [row for row, error in results if error is None])
        # Returned, because nothing is bound to its type, or rejected, because a queue is full.
        for kind in {type(error) for _, error in results if isinstance(error, DeliveryError)}:
            await self._refused([row for row, error in results if type(error) is kind], kind)
        unknown = [(row, error) for row, error in results if not isinstance(error, DeliveryError | None)]
        if unknown:
            log.warning("publish_failed", rows=len(unknown), error=type(unknown[0][1]).__name__)
        if any(isinstance(error, BrokerUnavailable) for _, error in unknown):
            raise BrokerUnavailable
        return [row for row, _ in unknown]

    async def _try_one_by_one(self, suspects: Sequence[Claimed]) -> None:
        """Publish each row alone: one that makes the broker close the channel fails all that are on it."""
        for row in suspects:
            (failure,) = await asyncio.gather(
                self._publisher.publish_alone(self._message_of(row)), return_exceptions=True
            )
            if isinstance(failure, BrokerUnavailable) or not await self._is_connected():
                raise BrokerUnavailable
            if isinstance(failure, BaseException):
                await self._refused([row], type(failure))
            else:
                await self._settle([(row, None)])

    async def _is_connected(self) -> bool:
        try:
            return await self._publisher.is_connected()
        except asyncio.CancelledError:
            if asked_to_stop():
                raise
            return False

    async def _refused(self, claimed: Sequence[Claimed], kind: type[BaseException]) -> None:
        # A refusal is about these rows, which wait by themselves while the others go on.
        for row in (each.row for each in claimed):
            log.error("event_refused", type=row.type, event_id=str(row.event_id), attempts=row.attempts + 1)
        await self._rows.postpone(claimed, kind.__name__)

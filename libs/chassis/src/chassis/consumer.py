"""Consumers: inbox row, effect and announced events in one transaction; then, and only then, the ack.

A fault that passes by itself holds the message and tries again, longer each time. A message that fails five
times for its own reasons is recorded and rejected into the queue's dead letters, so that it can't block
the others and isn't lost.
"""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import structlog
from faststream.rabbit import RabbitMessage
from sqlalchemy import insert

from chassis import context
from chassis.db import Database, UnitOfWork
from chassis.faults import is_transient
from chassis.inbox import count_failure, first_delivery
from chassis.problems import PersonErased, describe
from contracts.envelope import Envelope, Event, Head, InvalidEvent, parse, parse_head

MAX_ATTEMPTS = 5
HOLD_SECONDS = (0.5, 30.0)
HOLD_AT_MOST_SECONDS = 600.0
RETRY_PAUSE_SECONDS = 0.1
LONGEST_TYPE = 100

Handler = Callable[[UnitOfWork, Envelope[Any]], Awaitable[None]]
Preparation = Callable[[Envelope[Any]], Awaitable[None]]

log = structlog.get_logger(__name__)


class Outcome(Enum):
    """What becomes of a delivered message."""

    DONE = "ack"
    PARKED = "reject"
    HANDED_BACK = "nack"


@dataclass(frozen=True)
class Consumer:
    """A queue of this service and what it does with each event that arrives there.

    What has to be done outside the transaction of an event's effect stands in `before`: it is done first, and
    again whenever the event is tried again, so it must be harmless when repeated.
    """

    queue: str
    handlers: Mapping[type[Event], Handler]
    before: Mapping[type[Event], Preparation] = field(default_factory=dict)


class UnknownEventType(InvalidEvent):
    """The queue received a type, or a major version, that this consumer does not know."""


class ForgedEvent(InvalidEvent):
    """The message says that another service speaks than the one that published it."""


class Inbound:
    """Carries messages from a queue through the inbox to the consumer's handlers."""

    def __init__(self, database: Database, consumer: Consumer) -> None:
        self._database = database
        self._consumer = consumer
        self._by_type = {event.type: (event, handler) for event, handler in consumer.handlers.items()}
        self._before = {event.type: prepare for event, prepare in consumer.before.items()}

    async def receive(self, message: RabbitMessage) -> None:
        """Process a delivery and acknowledge it according to the outcome."""
        outcome = await self.process(message.body, routing_key=message.raw_message.routing_key)
        if outcome is Outcome.DONE:
            await message.ack()
        elif outcome is Outcome.PARKED:
            await message.reject(requeue=False)
        else:
            await message.nack(requeue=True)

    async def process(self, body: bytes, *, routing_key: str | None = None) -> Outcome:
        """Bring one message to its end: done, parked among the dead letters, or handed back to the broker.

        `routing_key` is the one it was published with, when that is known.
        """
        try:
            envelope, handler = self._read(body, routing_key)
        except InvalidEvent as error:
            return await self._park_surely(body, error)
        trace = context.traceparent.set(context.continued_trace(envelope.traceparent))
        try:
            return await self._attempt_until_settled(body, envelope, handler)
        finally:
            context.traceparent.reset(trace)

    def _read(self, body: bytes, routing_key: str | None) -> tuple[Envelope[Any], Handler]:
        event_type = parse_head(body).type
        # The broker lets a service publish only under its own routing keys; the body could say anything. What
        # an operator moves back from the dead letters arrives under the name of the queue.
        if routing_key not in {None, event_type, self._consumer.queue}:
            raise ForgedEvent("the event's type is not the one it was published under")
        if event_type not in self._by_type:
            raise UnknownEventType("this consumer does not know the event's type or version")
        event, handler = self._by_type[event_type]
        return parse(body, event), handler

    async def _attempt_until_settled(self, body: bytes, envelope: Envelope[Any], handler: Handler) -> Outcome:
        held, pause = 0.0, HOLD_SECONDS[0]
        while True:
            try:
                await self._act(envelope, handler)
            except Exception as error:  # noqa: BLE001 - each error is either held, counted or parked below
                if not is_transient(error):
                    verdict = await self._judge_failure(body, envelope, error)
                    if verdict is not None:
                        return verdict
                    continue
                if held >= HOLD_AT_MOST_SECONDS:
                    return Outcome.HANDED_BACK
                log.warning("message_held", consumer=self._consumer.queue, error=describe(error))
                wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - spread, not secrecy
                await asyncio.sleep(wait)
                held, pause = held + wait, min(pause * 2, HOLD_SECONDS[1])
            else:
                return Outcome.DONE

    async def _act(self, envelope: Envelope[Any], handler: Handler) -> None:
        gone = await self._prepare(envelope)
        async with self._database.unit_of_work() as uow:
            if not await first_delivery(uow, consumer=self._consumer.queue, event_id=envelope.id):
                log.info("event_seen_before", consumer=self._consumer.queue, event_id=str(envelope.id))
                return
            try:
                if not gone:
                    async with uow.session.begin_nested():
                        await handler(uow, envelope)
                    return
            except PersonErased:
                uow.discard_events()
            # Erasure wins over whatever arrives later; the inbox row stays, the effect does not happen.
            log.info("event_dropped_after_erasure", consumer=self._consumer.queue, event_id=str(envelope.id))

    async def _prepare(self, envelope: Envelope[Any]) -> bool:
        """Do what comes before the transaction; True when the person is erased."""
        prepare = self._before.get(envelope.type)
        if prepare is None:
            return False
        try:
            await prepare(envelope)
        except PersonErased:
            return True
        return False

    async def _judge_failure(self, body: bytes, envelope: Envelope[Any], error: Exception) -> Outcome | None:
        """Count the failure; None means another try."""
        try:
            async with self._database.unit_of_work() as uow:
                attempts = await count_failure(uow, consumer=self._consumer.queue, event_id=envelope.id)
            log.error(
                "handler_failed",
                consumer=self._consumer.queue,
                event_id=str(envelope.id),
                attempts=attempts,
                error=describe(error),
            )
            if attempts >= MAX_ATTEMPTS:
                await self._park(body, error, envelope)
                return Outcome.PARKED
        except Exception as trouble:  # noqa: BLE001 - raised from here, it would leave the message unsettled
            log.error("failure_not_counted", consumer=self._consumer.queue, error=describe(trouble))
            await asyncio.sleep(HOLD_SECONDS[0])
            return None
        await asyncio.sleep(RETRY_PAUSE_SECONDS * attempts)
        return None

    async def _park_surely(self, body: bytes, error: InvalidEvent) -> Outcome:
        log.error("event_unreadable", consumer=self._consumer.queue, error=type(error).__name__)
        try:
            await self._park(body, error, _readable_head(body))
        except Exception as trouble:  # noqa: BLE001 - raised from here, it would leave the message unsettled
            log.error("dead_letter_not_recorded", consumer=self._consumer.queue, error=describe(trouble))
            await asyncio.sleep(HOLD_SECONDS[0])
            return Outcome.HANDED_BACK
        return Outcome.PARKED

    async def _park(self, body: bytes, error: Exception, head: Head | None) -> None:
        async with self._database.unit_of_work() as uow:
            await uow.session.execute(
                insert(uow.tables.dead_letters).values(
                    consumer=self._consumer.queue,
                    event_id=head.id if head else None,
                    type=head.type[:LONGEST_TYPE] if head else None,
                    body_digest=hashlib.sha256(body).hexdigest(),
                    error_class=describe(error)[:200],
                )
            )


def _readable_head(body: bytes) -> Head | None:
    try:
        return parse_head(body)
    except InvalidEvent:
        return None

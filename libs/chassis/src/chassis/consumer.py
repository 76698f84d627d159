"""Consumers: inbox row, effect and announced events in one transaction; then, and only then, the ack.

A fault that passes by itself holds the message and tries again, longer each time. A message that fails five
times for its own reasons is recorded and rejected into the queue's dead letters, so that it can't block
the others and isn't lost. One of a type that isn't known is put off for a while: an upgrade may be under way.
"""

import asyncio
import hashlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import structlog
from aio_pika.abc import HeadersType
from faststream.rabbit import RabbitMessage
from sqlalchemy import insert

from chassis import context
from chassis.db import Database, UnitOfWork
from chassis.faults import asked_to_stop, is_transient
from chassis.inbox import count_failure, first_delivery
from chassis.problems import PersonErased, describe
from contracts.envelope import Envelope, Event, Head, InvalidEvent, parse, parse_head

MAX_ATTEMPTS = 5
HOLD_SECONDS = (0.5, 30.0)
HOLD_AT_MOST_SECONDS = 600.0
RETRY_PAUSE_SECONDS = 0.1
LONGEST_TYPE = 100
UNKNOWN_SINCE = "unknown-since"

Handler = Callable[[UnitOfWork, Envelope[Any]], Awaitable[None]]
Preparation = Callable[[Envelope[Any]], Awaitable[None]]

log = structlog.get_logger(__name__)


class Outcome(Enum):
    """What becomes of a delivered message."""

    DONE = "ack"
    PARKED = "reject"
    HANDED_BACK = "nack"
    PUT_OFF = "publish for later, then ack"


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


class Later(Protocol):
    """Brings messages back to their queue after a moment."""

    async def put_off(self, queue: str, message: RabbitMessage, headers: HeadersType) -> None:
        """Return when the broker has taken responsibility; then the delivery may be acknowledged."""


class Inbound:
    """Carries messages from a queue through the inbox to the consumer's handlers.

    A type, or a major version, that is not known is one of tomorrow as long as an upgrade may be under way:
    for `patience_seconds` its messages are put off again and again, until a consumer of tomorrow takes them.
    """

    def __init__(
        self,
        database: Database,
        consumer: Consumer,
        *,
        later: Later | None = None,
        patience_seconds: float = 0.0,
    ) -> None:
        self._database = database
        self._consumer = consumer
        self._later = later
        self._patience = patience_seconds if later is not None else 0.0
        self._by_type = {event.type: (event, handler) for event, handler in consumer.handlers.items()}
        self._before = {event.type: prepare for event, prepare in consumer.before.items()}

    async def receive(self, message: RabbitMessage) -> None:
        """Process a delivery and acknowledge it according to the outcome."""
        since = message.headers.get(UNKNOWN_SINCE)
        outcome = await self.process(
            message.body,
            routing_key=message.raw_message.routing_key,
            unknown_since=since if isinstance(since, int) else None,
        )
        if outcome is Outcome.PUT_OFF:
            outcome = await self._put_off(message)
        if outcome is Outcome.DONE:
            await message.ack()
        elif outcome is Outcome.PARKED:
            await message.reject(requeue=False)
        else:
            await message.nack(requeue=True)

    async def process(
        self, body: bytes, *, routing_key: str | None = None, unknown_since: int | None = None
    ) -> Outcome:
        """Bring one message to its end: done, parked among the dead letters, put off, or handed back.

        `routing_key` is the one it was published with, when that is known; `unknown_since` when it was first
        put off, in seconds since 1970.
        """
        try:
            envelope, handler = self._read(body, routing_key)
        except UnknownEventType as error:
            if self._may_be_known_tomorrow(body, unknown_since):
                return Outcome.PUT_OFF
            return await self._park_surely(body, error)
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

    def _may_be_known_tomorrow(self, body: bytes, unknown_since: int | None) -> bool:
        now = time.time()
        if now - (unknown_since or now) >= self._patience:
            return False
        if unknown_since is None:
            log.warning("event_not_known_yet", consumer=self._consumer.queue, type=parse_head(body).type)
        return True

    async def _put_off(self, message: RabbitMessage) -> Outcome:
        """Publish for later; acknowledged before that is confirmed, the message could be lost."""
        headers = {UNKNOWN_SINCE: int(time.time()), **message.headers}
        # What the broker tells of earlier rounds is its own; sent again it would be taken for new.
        kept: HeadersType = {
            name: headers[name] for name in (UNKNOWN_SINCE, "traceparent") if name in headers
        }
        hold = _Hold()
        while self._later is not None:
            failure: BaseException
            try:
                await self._later.put_off(self._consumer.queue, message, kept)
            except asyncio.CancelledError as error:
                # A lost connection to the broker ends what waits for it with a cancellation as well.
                if asked_to_stop():
                    raise
                failure = error
            except Exception as error:  # noqa: BLE001 - whatever it is, the message is held and then handed back
                failure = error
            else:
                return Outcome.DONE
            log.warning("message_not_put_off", consumer=self._consumer.queue, error=describe(failure))
            if not await hold.wait():
                break
        return Outcome.HANDED_BACK

    async def _attempt_until_settled(self, body: bytes, envelope: Envelope[Any], handler: Handler) -> Outcome:
        hold = _Hold()
        while True:
            try:
                await self._act(envelope, handler)
            except Exception as error:  # noqa: BLE001 - each error is either held, counted or parked below
                if not is_transient(error):
                    verdict = await self._judge_failure(body, envelope, error)
                    if verdict is not None:
                        return verdict
                    continue
                log.warning("message_held", consumer=self._consumer.queue, error=describe(error))
                if not await hold.wait():
                    return Outcome.HANDED_BACK
            else:
                return Outcome.DONE

    async def _act(self, envelope: Envelope[Any], handler: Handler) -> None:
        gone = await self._prepare(envelope)
        try:
            async with self._database.unit_of_work() as uow:
                if not await first_delivery(uow, consumer=self._consumer.queue, event_id=envelope.id):
                    log.info("event_seen_before", consumer=self._consumer.queue, event_id=str(envelope.id))
                    return
                if not gone:
                    await handler(uow, envelope)
                    return
        except PersonErased:
            async with self._database.unit_of_work() as uow:
                await first_delivery(uow, consumer=self._consumer.queue, event_id=envelope.id)
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
        head = _readable_head(body)
        said = {"type": head.type} if head else {}
        log.error("event_unreadable", consumer=self._consumer.queue, error=type(error).__name__, **said)
        try:
            await self._park(body, error, head)
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


class _Hold:
    """The growing pauses in which one message is held, unsettled."""

    def __init__(self) -> None:
        self._held, self._pause = 0.0, HOLD_SECONDS[0]

    async def wait(self) -> bool:
        """Wait for the next attempt; False at once when the message was held for long enough."""
        if self._held >= HOLD_AT_MOST_SECONDS:
            return False
        wait = self._pause * random.uniform(0.5, 1.5)  # noqa: S311 - spread, not secrecy
        await asyncio.sleep(wait)
        self._held, self._pause = self._held + wait, min(self._pause * 2, HOLD_SECONDS[1])
        return True


def _readable_head(body: bytes) -> Head | None:
    try:
        return parse_head(body)
    except InvalidEvent:
        return None

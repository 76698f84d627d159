"""Consumers: inbox row, effect and announced events in one transaction; then, and only then, the ack.

What has arrived together acts in one transaction; if anything fails in it, each acts alone.
A fault that passes by itself holds the message and tries again, longer each time. A message that fails five
times for its own reasons is recorded and rejected into the queue's dead letters, so that it can't block
the others and isn't lost. One of a type that isn't known is put off for a while: an upgrade may be under way.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from enum import Enum
from typing import Any, Protocol

import structlog
from aio_pika.abc import HeadersType
from faststream.rabbit import RabbitMessage

from chassis.db import Database
from chassis.dead_letters import record_dead_letter
from chassis.deliveries import Arrivals, Delivery
from chassis.faults import asked_to_stop, is_transient
from chassis.handling import (
    Consumer,
    ForgedEvent,
    Handler,
    Handling,
    Preparation,
    UnknownEventType,
    in_trace_of,
)
from chassis.inbox import count_failure
from chassis.problems import describe
from contracts.envelope import Envelope, Head, InvalidEvent, parse_head

__all__ = ["Consumer", "ForgedEvent", "Handler", "Inbound", "Outcome", "Preparation", "UnknownEventType"]

MAX_ATTEMPTS = 5
HOLD_SECONDS = (0.5, 30.0)
HOLD_AT_MOST_SECONDS = 600.0
RETRY_PAUSE_SECONDS = 0.1
UNKNOWN_SINCE = "unknown-since"

log = structlog.get_logger(__name__)


class Outcome(Enum):
    """What becomes of a delivered message."""

    DONE = "ack"
    PARKED = "reject"
    HANDED_BACK = "nack"
    PUT_OFF = "publish for later, then ack"


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
        self._handling = Handling(database, consumer)
        self._arrivals = Arrivals()

    async def receive(self, message: RabbitMessage) -> None:
        """Process a delivery, with others if some have arrived, and settle it according to the outcome."""
        self._arrivals.begin(message)
        delivery = await self._prepared(message)
        if delivery is not None:
            async with self._arrivals.turn(delivery) as batch:
                await self._act_together(batch)
            if delivery.settled:
                return
        outcome = Outcome.DONE if delivery and delivery.done else await self._go_alone(message, delivery)
        if outcome is Outcome.DONE:
            await message.ack()
        elif outcome is Outcome.PARKED:
            await message.reject(requeue=False)
        else:
            await message.nack(requeue=True)
        self._arrivals.settle(message)

    async def _prepared(self, message: RabbitMessage) -> Delivery | None:
        """Read a message and do what comes before its transaction; None when it has to go alone."""
        try:
            envelope = self._handling.read(message.body, message.raw_message.routing_key)
            return Delivery(message, envelope, gone=await self._handling.prepare(envelope))
        except Exception:  # noqa: BLE001 - alone it meets the same again, and is held, counted or parked
            return None

    async def _act_together(self, batch: Sequence[Delivery]) -> None:
        """Let all that have arrived act in one transaction; what fails there undoes all of it."""
        if not batch:
            return
        try:
            await self._handling.act([(each.envelope, each.gone) for each in batch])
        except Exception as error:  # noqa: BLE001 - alone each meets its own error again, and this is its own
            if len(batch) == 1:
                batch[0].failure = error
            else:
                log.info("deliveries_parted", consumer=self._consumer.queue, error=describe(error))
            return
        for each in batch:
            each.done = True
        await self._arrivals.acknowledge(batch)

    async def _go_alone(self, message: RabbitMessage, delivery: Delivery | None) -> Outcome:
        since = message.headers.get(UNKNOWN_SINCE)
        outcome = await self.process(
            message.body,
            routing_key=message.raw_message.routing_key,
            unknown_since=since if isinstance(since, int) else None,
            failure=delivery.failure if delivery else None,
        )
        return await self._put_off(message) if outcome is Outcome.PUT_OFF else outcome

    async def process(
        self,
        body: bytes,
        *,
        routing_key: str | None = None,
        unknown_since: int | None = None,
        failure: Exception | None = None,
    ) -> Outcome:
        """Bring one message to its end: done, parked among the dead letters, put off, or handed back.

        `routing_key` is the one it was published with, when that is known; `unknown_since` when it was first
        put off, in seconds since 1970; `failure` is what has become of its first attempt.
        """
        try:
            envelope = self._handling.read(body, routing_key)
        except UnknownEventType as error:
            if self._may_be_known_tomorrow(body, unknown_since):
                return Outcome.PUT_OFF
            return await self._park_surely(body, error)
        except InvalidEvent as error:
            return await self._park_surely(body, error)
        with in_trace_of(envelope):
            return await self._attempt_until_settled(body, envelope, failure)

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

    async def _attempt_until_settled(
        self, body: bytes, envelope: Envelope[Any], failure: Exception | None
    ) -> Outcome:
        hold = _Hold()
        while True:
            error, failure = failure or await self._attempt(envelope), None
            if error is None:
                return Outcome.DONE
            if not is_transient(error):
                verdict = await self._judge_failure(body, envelope, error)
                if verdict is not None:
                    return verdict
                continue
            log.warning("message_held", consumer=self._consumer.queue, error=describe(error))
            if not await hold.wait():
                return Outcome.HANDED_BACK

    async def _attempt(self, envelope: Envelope[Any]) -> Exception | None:
        try:
            await self._handling.act([(envelope, await self._handling.prepare(envelope))])
        except Exception as error:  # noqa: BLE001 - whoever asked for it holds, counts or parks it
            return error
        return None

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
                await record_dead_letter(self._database, self._consumer.queue, body, error, envelope)
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
            await record_dead_letter(self._database, self._consumer.queue, body, error, head)
        except Exception as trouble:  # noqa: BLE001 - raised from here, it would leave the message unsettled
            log.error("dead_letter_not_recorded", consumer=self._consumer.queue, error=describe(trouble))
            await asyncio.sleep(HOLD_SECONDS[0])
            return Outcome.HANDED_BACK
        return Outcome.PARKED


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

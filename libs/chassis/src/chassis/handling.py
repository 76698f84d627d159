"""What a consumer does with events: each is read and prepared, and those at hand act in one transaction."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from chassis import context
from chassis.db import Database, UnitOfWork
from chassis.inbox import first_deliveries
from chassis.problems import PersonErased
from contracts.envelope import Envelope, Event, InvalidEvent, parse, parse_head

Handler = Callable[[UnitOfWork, Envelope[Any]], Awaitable[None]]
Preparation = Callable[[Envelope[Any]], Awaitable[None]]

log = structlog.get_logger(__name__)


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


class NotAllNew(Exception):
    """Some of several events have acted before."""


class Handling:
    """A consumer at work: what it reads, and what becomes of it in the database."""

    def __init__(self, database: Database, consumer: Consumer) -> None:
        self._database = database
        self._consumer = consumer
        self._before = {event.type: prepare for event, prepare in consumer.before.items()}

    def read(self, body: bytes, routing_key: str | None) -> Envelope[Any]:
        """Return the event of a message; raises `InvalidEvent`."""
        event_type = parse_head(body).type
        # The broker lets a service publish only under its own routing keys; the body could say anything. What
        # an operator moves back from the dead letters arrives under the name of the queue.
        if routing_key not in {None, event_type, self._consumer.queue}:
            raise ForgedEvent("the event's type is not the one it was published under")
        return parse(body, self._known(event_type)[0])

    def _known(self, event_type: str) -> tuple[type[Event], Handler]:
        for event, handler in self._consumer.handlers.items():
            if (known := event.of_type(event_type)) is not None:
                return known, handler
        raise UnknownEventType("this consumer does not know the event's type or version")

    async def act(self, events: Sequence[tuple[Envelope[Any], bool]]) -> None:
        """Let events act in one transaction, but for those whose person is gone.

        One alone is left out when it has acted before, and when its person turns out to be erased. Among
        several, that is an error.
        """
        queue, ids = self._consumer.queue, [envelope.id for envelope, _ in events]
        alone = len(events) == 1
        try:
            async with self._database.unit_of_work() as uow:
                if await first_deliveries(uow, consumer=queue, event_ids=ids) < len(events):
                    if not alone:
                        raise NotAllNew
                    log.info("event_seen_before", consumer=queue, event_id=str(ids[0]))
                    return
                for envelope, gone in events:
                    await self._handle(uow, envelope, gone=gone)
                    if not alone:
                        # The next one reads what is there, and not what this one has remembered.
                        await uow.session.flush()
                        uow.session.expunge_all()
        except PersonErased:
            if not alone:
                raise
            # Erasure wins over whatever arrives later; the inbox row stays, the effect does not happen.
            await self.act([(envelope, True) for envelope, _ in events])

    async def _handle(self, uow: UnitOfWork, envelope: Envelope[Any], *, gone: bool) -> None:
        if gone:
            log.info("event_dropped_after_erasure", consumer=self._consumer.queue, event_id=str(envelope.id))
            return
        _, handler = self._known(envelope.type)
        with in_trace_of(envelope):
            await handler(uow, envelope)

    async def prepare(self, envelope: Envelope[Any]) -> bool:
        """Do what comes before the transaction; True when the person is erased."""
        prepare = self._before.get(envelope.type)
        if prepare is None:
            return False
        try:
            with in_trace_of(envelope):
                await prepare(envelope)
        except PersonErased:
            return True
        return False


@contextmanager
def in_trace_of(envelope: Envelope[Any]) -> Iterator[None]:
    """Do what the block does as a part of what caused the event."""
    trace = context.traceparent.set(context.continued_trace(envelope.traceparent))
    try:
        yield
    finally:
        context.traceparent.reset(trace)

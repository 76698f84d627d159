"""Connections to RabbitMQ: one to publish, one to consume, both with the safe settings."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, cast
from uuid import UUID

import structlog
from aio_pika import DeliveryMode, Message, RobustConnection
from aio_pika.abc import AbstractQueue, HeadersType
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity
from faststream.middlewares import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitExchange, RabbitMessage, RabbitQueue

from chassis.broker_url import HostsInTurn, split_hosts
from chassis.faults import TransientFault, asked_to_stop, passes
from contracts.topology import EXCHANGE, LATER_EXCHANGE

if TYPE_CHECKING:
    import aiormq

PUBLISH_TIMEOUT_SECONDS = 5.0
QUESTION_SECONDS = 5.0
GRACE_SECONDS = 20.0
STOP_SECONDS = GRACE_SECONDS + 2
PREFETCH = 64
CLOUDEVENTS_JSON = "application/cloudevents+json"

log = structlog.get_logger(__name__)

passes(AMQPError)

# Services may not declare anything: the topology belongs to the bootstrap job.
_EXCHANGE = RabbitExchange(EXCHANGE, declare=False)


class BrokerUnavailable(TransientFault):
    """There is no usable connection to the broker."""


class BrokerStartFailed(Exception):
    """The broker refused what we need, for example because a queue is missing; waiting mends nothing."""


@dataclass(frozen=True)
class OutgoingMessage:
    """One event on its way out of the outbox."""

    event_id: UUID
    type: str
    producer: str
    body: bytes
    time: datetime
    traceparent: str | None
    mandatory: bool


class Publisher(Protocol):
    """Hands messages to the broker; returns only when the broker has taken responsibility."""

    async def publish(self, message: OutgoingMessage) -> None:
        """Publish and await the confirm; raises when the message was refused, returned or not confirmed."""

    async def publish_alone(self, message: OutgoingMessage) -> None:
        """Publish likewise, in a way that a fault of this message fails no other one."""

    async def is_connected(self) -> bool:
        """Tell whether publishing can work now."""


class ServiceBroker(RabbitBroker):
    """A broker that knows its connection from the first attempt on, so that the attempts can be ended."""

    tried: RobustConnection | None = None
    hosts: HostsInTurn | None = None

    async def _connect(self) -> RobustConnection:
        self._connection_kwargs["connection_class"] = self._remembered
        return await super()._connect()

    def _remembered(self, *args: Any, **kwargs: Any) -> RobustConnection:
        self.tried = RobustConnection(*args, **kwargs)
        self.tried.kwargs["transport_factory"] = self.hosts
        return self.tried


def make_broker(url: str) -> ServiceBroker:
    """Return a broker with confirms, returned messages as errors, and manual acknowledgement."""
    urls = split_hosts(url)
    broker = ServiceBroker(
        urls[0],
        fail_fast=False,
        reconnect_interval=1,
        graceful_timeout=GRACE_SECONDS,
        logger=None,
        # Handlers take the message as it is: filling in parameters would cost a thread's turn each time.
        apply_types=False,
        default_channel=Channel(prefetch_count=PREFETCH, publisher_confirms=True, on_return_raises=True),
        ack_policy=AckPolicy.MANUAL,
    )
    broker.hosts = HostsInTurn(urls)
    return broker


class BrokerConnection:
    """A broker that connects in the background, so that a service starts while RabbitMQ is away."""

    def __init__(self, url: str) -> None:
        self.broker = make_broker(url)
        self._connecting: asyncio.Task[None] | None = None

    def connect(self) -> None:
        """Begin to connect; it waits for the server for as long as it takes."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self.broker.start(), name="broker-connect")

    async def is_connected(self) -> bool:
        """Tell whether the connection is up and answers; raises `BrokerStartFailed`."""
        if self._connecting is None or not self._connecting.done():
            return False
        if error := self._connecting.exception():
            raise BrokerStartFailed(type(error).__name__) from error
        return await self.broker.ping(timeout=1.0)

    async def ping(self) -> None:
        """Raise `BrokerUnavailable` unless the connection answers; the health check."""
        if not await self.is_connected():
            raise BrokerUnavailable

    async def has_consumer(self, queue: str) -> bool:
        """Tell whether `queue` exists and anyone consumes it; raises `BrokerUnavailable`."""
        found = await self._inspect(queue)
        return found is not None and bool(found.declaration_result.consumer_count)

    async def messages_in(self, queue: str) -> int:
        """Return how many messages wait in `queue`, none if there is no such queue; raises likewise."""
        found = await self._inspect(queue)
        return 0 if found is None else int(found.declaration_result.message_count or 0)

    async def _inspect(self, queue: str) -> AbstractQueue | None:
        async with self.opened(queue, seconds=QUESTION_SECONDS) as found:
            return found

    @asynccontextmanager
    async def opened(self, queue: str, *, seconds: float) -> AsyncIterator[AbstractQueue | None]:
        """Give the queue on a channel of its own, None if there is none; raises `BrokerUnavailable`.

        What is taken from it and not acknowledged goes back at the end.
        """
        if not await self.is_connected() or self.broker.tried is None:
            raise BrokerUnavailable
        try:
            async with asyncio.timeout(seconds), self.broker.tried.channel() as channel:
                try:
                    found = await channel.declare_queue(queue, passive=True)
                except ChannelNotFoundEntity:
                    found = None
                yield found
        except (AMQPError, OSError) as error:
            raise BrokerUnavailable from error
        except asyncio.CancelledError:
            if asked_to_stop():
                raise
            raise BrokerUnavailable from None

    async def close(self) -> None:
        """Stop consuming, let running handlers finish, disconnect; never fails because the broker is away."""
        connecting = self._connecting
        if connecting is not None and not connecting.done():
            await self._disconnect()
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
        await _attempt("stop", self.broker.stop(), seconds=STOP_SECONDS)
        # FastStream leaves the connection open when it could not take leave on it.
        await self._disconnect()

    async def _disconnect(self) -> None:
        # aio-pika tries to connect on and on, through every cancellation, until its connection is closed.
        if self.broker.tried is not None:
            await _attempt("disconnect", self.broker.tried.close(), seconds=QUESTION_SECONDS)


async def _attempt(step: str, work: Awaitable[None], *, seconds: float) -> None:
    """Await `work`, at most for `seconds`; a lost connection must not keep the process from ending well."""
    failure: BaseException
    try:
        async with asyncio.timeout(seconds):
            return await work
    except asyncio.CancelledError as error:
        if asked_to_stop():
            raise
        failure = error
    except Exception as error:  # noqa: BLE001 - logged; whatever it is, closing goes on
        failure = error
    log.warning("broker_not_closed_in_good_order", step=step, error=type(failure).__name__)
    return None


def _of(message: OutgoingMessage) -> Message:
    return Message(
        message.body,
        content_type=CLOUDEVENTS_JSON,
        message_id=str(message.event_id),
        type=message.type,
        timestamp=message.time,
        headers={"traceparent": message.traceparent} if message.traceparent else {},
        delivery_mode=DeliveryMode.PERSISTENT,
    )


class EventPublisher(BrokerConnection):
    """The publisher of a service's outbox."""

    async def publish(self, message: OutgoingMessage) -> None:
        """Publish persistently and await the broker's confirm, at most five seconds.

        Any number may wait for their confirms at a time.
        """
        if self._connecting is None or not self._connecting.done():
            raise BrokerUnavailable
        outgoing = _of(message)
        async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
            exchange = await self.broker.declare_exchange(_EXCHANGE)
            channel = cast("aiormq.Channel", await exchange.channel.get_underlay_channel())
            # Not held until the socket has taken it: the next message goes out behind this one, and who
            # relays bounds how many do. The libraries above cost as much again.
            await channel.basic_publish(
                outgoing.body,
                exchange=EXCHANGE,
                routing_key=message.type,
                properties=outgoing.properties,
                mandatory=message.mandatory,
                wait=False,
            )

    async def publish_alone(self, message: OutgoingMessage) -> None:
        """Publish likewise, on a channel of its own: the broker closes the channel for some messages."""
        await self._publish_on_own_channel(EXCHANGE, message.type, _of(message), mandatory=message.mandatory)

    async def put_off(self, queue: str, message: RabbitMessage, headers: HeadersType) -> None:
        """Publish a message of `queue` so that it comes back there after a moment, with these headers.

        Returns with the broker's confirm: the delivery may then be acknowledged.
        """
        received = message.raw_message
        waiting = Message(
            message.body,
            content_type=received.content_type,
            message_id=received.message_id,
            type=received.type,
            timestamp=received.timestamp,
            headers=headers,
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        await self._publish_on_own_channel(LATER_EXCHANGE, queue, waiting, mandatory=True)

    async def _publish_on_own_channel(
        self, exchange: str, routing_key: str, message: Message, *, mandatory: bool
    ) -> None:
        if self.broker.tried is None:
            raise BrokerUnavailable
        async with (
            asyncio.timeout(PUBLISH_TIMEOUT_SECONDS),
            self.broker.tried.channel(publisher_confirms=True, on_return_raises=True) as channel,
        ):
            target = await channel.get_exchange(exchange, ensure=False)
            await target.publish(message, routing_key=routing_key, mandatory=mandatory)


RawHandler = Callable[[RabbitMessage], Awaitable[None]]


def consume(broker: RabbitBroker, queue: str, handler: RawHandler) -> None:
    """Deliver every message of `queue` to `handler`, undecoded, on a channel of its own."""

    async def undecoded(message: RabbitMessage) -> RabbitMessage:
        # The handler parses: a message that FastStream can't decode would never reach the dead letters.
        return message

    subscriber = broker.subscriber(
        RabbitQueue(queue, declare=False),
        channel=Channel(prefetch_count=PREFETCH),
        decoder=undecoded,
        ack_policy=AckPolicy.MANUAL,
        no_reply=True,
    )
    subscriber(handler)

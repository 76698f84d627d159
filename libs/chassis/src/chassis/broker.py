"""Connections to RabbitMQ: one to publish, one to consume, both with the safe settings."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from aio_pika.abc import HeadersType
from aio_pika.exceptions import ChannelNotFoundEntity
from faststream.middlewares import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitExchange, RabbitMessage, RabbitQueue

from chassis.faults import TransientFault
from contracts.topology import EXCHANGE

PUBLISH_TIMEOUT_SECONDS = 5.0
PREFETCH = 16
CLOUDEVENTS_JSON = "application/cloudevents+json"

# Services may not declare anything: the topology belongs to the bootstrap job.
_EXCHANGE = RabbitExchange(EXCHANGE, declare=False)


class BrokerUnavailable(TransientFault):
    """There is no usable connection to the broker."""


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

    async def is_connected(self) -> bool:
        """Tell whether publishing can work now."""


def make_broker(url: str) -> RabbitBroker:
    """Return a broker with confirms, returned messages as errors, and manual acknowledgement."""
    return RabbitBroker(
        url,
        fail_fast=False,
        reconnect_interval=1,
        graceful_timeout=20,
        logger=None,
        default_channel=Channel(prefetch_count=PREFETCH, publisher_confirms=True, on_return_raises=True),
        ack_policy=AckPolicy.MANUAL,
    )


class BrokerConnection:
    """A broker that connects in the background, so that a service starts while RabbitMQ is away."""

    def __init__(self, url: str) -> None:
        self.broker = make_broker(url)
        self._connecting: asyncio.Task[None] | None = None

    def connect(self) -> None:
        """Begin to connect; FastStream's start waits for the server for as long as it takes."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self.broker.start(), name="broker-connect")

    async def is_connected(self) -> bool:
        """Tell whether the connection is up and answers."""
        if self._connecting is None or not self._connecting.done():
            return False
        # A failed start is a programming or configuration error: it must surface, not look like an outage.
        self._connecting.result()
        return await self.broker.ping(timeout=1.0)

    async def ping(self) -> None:
        """Raise `BrokerUnavailable` unless the connection answers; the health check."""
        if not await self.is_connected():
            raise BrokerUnavailable

    async def has_consumer(self, queue: str) -> bool:
        """Tell whether `queue` exists and anyone consumes it; raises `BrokerUnavailable`."""
        if not await self.is_connected():
            raise BrokerUnavailable
        connection = await self.broker.connect()
        try:
            async with connection.channel() as channel:
                found = await channel.declare_queue(queue, passive=True)
        except ChannelNotFoundEntity:
            return False
        return bool(found.declaration_result.consumer_count)

    async def close(self) -> None:
        """Stop consuming, let running handlers finish, disconnect."""
        if self._connecting is not None and not self._connecting.done():
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        await self.broker.stop()


class EventPublisher(BrokerConnection):
    """The publisher of a service's outbox."""

    async def publish(self, message: OutgoingMessage) -> None:
        """Publish persistently and await the broker's confirm, at most five seconds."""
        if self._connecting is None or not self._connecting.done():
            raise BrokerUnavailable
        headers: HeadersType = {"traceparent": message.traceparent} if message.traceparent else {}
        async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
            await self.broker.publish(
                message.body,
                exchange=_EXCHANGE,
                routing_key=message.type,
                mandatory=message.mandatory,
                persist=True,
                content_type=CLOUDEVENTS_JSON,
                message_id=str(message.event_id),
                message_type=message.type,
                timestamp=message.time,
                headers=headers,
            )


RawHandler = Callable[[RabbitMessage], Awaitable[None]]


def consume(broker: RabbitBroker, queue: str, handler: RawHandler) -> None:
    """Deliver every message of `queue` to `handler`, undecoded, on a channel of its own."""

    async def raw_body(message: RabbitMessage) -> bytes:
        # The handler parses: a message that FastStream can't decode would never reach the dead letters.
        return message.body

    async def deliver(_body: bytes, message: RabbitMessage) -> None:
        await handler(message)

    subscriber = broker.subscriber(
        RabbitQueue(queue, declare=False),
        channel=Channel(prefetch_count=PREFETCH),
        decoder=raw_body,
        ack_policy=AckPolicy.MANUAL,
        no_reply=True,
    )
    subscriber(deliver)

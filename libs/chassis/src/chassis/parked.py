"""Takes messages out of a queue that nobody consumes, where dead letters lie."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from aio_pika.abc import AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity

from chassis.broker import BrokerConnection, BrokerUnavailable
from chassis.faults import asked_to_stop

SECONDS = 300.0
TOGETHER = 100

Unwanted = Callable[[Sequence[bytes]], Awaitable[Sequence[bool]]]
"""Tells of the body of each message whether nobody needs it any more."""


async def take_out(connection: BrokerConnection, queue: str, unwanted: Unwanted) -> int:
    """Remove those messages of `queue` whose bodies are unwanted; return how many. The others stay.

    Raises `BrokerUnavailable`; what was not removed by then is looked at the next time.
    """
    removed = 0
    if not await connection.is_connected() or connection.broker.tried is None:
        raise BrokerUnavailable
    try:
        # What was taken and is not acknowledged goes back when the channel closes.
        async with asyncio.timeout(SECONDS), connection.broker.tried.channel() as channel:
            found = await channel.declare_queue(queue, passive=True)
            left = int(found.declaration_result.message_count or 0)
            while left > 0:
                taken = await _take(found, min(left, TOGETHER))
                left = left - len(taken) if taken else 0
                for message, gone in zip(taken, await unwanted([it.body for it in taken]), strict=True):
                    if gone:
                        await message.ack()
                        removed += 1
    except ChannelNotFoundEntity:
        return removed
    except (AMQPError, OSError) as error:
        raise BrokerUnavailable from error
    except asyncio.CancelledError:
        if asked_to_stop():
            raise
        raise BrokerUnavailable from None
    return removed


async def _take(queue: AbstractQueue, number: int) -> list[AbstractIncomingMessage]:
    """Return the next messages, fewer than that at the end of the queue."""
    taken: list[AbstractIncomingMessage] = []
    while len(taken) < number and (message := await queue.get(fail=False)) is not None:
        taken.append(message)
    return taken

"""Takes messages out of a queue that nobody consumes, where dead letters lie."""

import asyncio
from collections.abc import Awaitable, Callable

from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity

from chassis.broker import BrokerConnection, BrokerUnavailable
from chassis.faults import asked_to_stop

SECONDS = 30.0

Unwanted = Callable[[bytes], Awaitable[bool]]
"""Tells of the body of a message whether nobody needs it any more."""


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
            for _ in range(int(found.declaration_result.message_count or 0)):
                message = await found.get(fail=False)
                if message is None:
                    break
                if await unwanted(message.body):
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

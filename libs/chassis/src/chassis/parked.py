"""Takes messages out of a queue that nobody consumes, where dead letters lie."""

from collections.abc import Awaitable, Callable, Sequence

from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

from chassis.broker import BrokerConnection

SECONDS = 300.0
TOGETHER = 100

Unwanted = Callable[[Sequence[bytes]], Awaitable[Sequence[bool]]]
"""Tells of the body of each message whether nobody needs it any more."""


async def take_out(connection: BrokerConnection, queue: str, unwanted: Unwanted) -> int:
    """Remove those messages of `queue` whose bodies are unwanted; return how many. The others stay.

    Raises `BrokerUnavailable`; what was not removed by then is looked at the next time.
    """
    removed = 0
    async with connection.opened(queue, seconds=SECONDS) as found:
        left = 0 if found is None else int(found.declaration_result.message_count or 0)
        while found is not None and left > 0:
            taken = await _take(found, min(left, TOGETHER))
            left = left - len(taken) if taken else 0
            for message, gone in zip(taken, await unwanted([it.body for it in taken]), strict=True):
                if gone:
                    await message.ack()
                    removed += 1
    return removed


async def _take(queue: AbstractQueue, number: int) -> list[AbstractIncomingMessage]:
    """Return the next messages, fewer than that at the end of the queue."""
    taken: list[AbstractIncomingMessage] = []
    while len(taken) < number and (message := await queue.get(fail=False)) is not None:
        taken.append(message)
    return taken

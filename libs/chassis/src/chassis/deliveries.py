"""Deliveries of one queue that have arrived, taken together: one transaction and one acknowledgement."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from faststream.rabbit import RabbitMessage

from contracts.envelope import Envelope

TOGETHER = 32
TURN_SECONDS = 0.25
"""How long a transaction keeps the deliveries behind it waiting; after that they go on beside it."""


@dataclass(eq=False)
class Delivery:
    """A message that was read, and how far it has come."""

    message: RabbitMessage
    envelope: Envelope[Any]
    gone: bool
    """Whether its person is erased."""
    taken: bool = False
    done: bool = False
    settled: bool = False
    failure: Exception | None = None
    """Its own failure, if it was alone."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when those that were taken with it have acted, or failed."""


@dataclass
class _Tags:
    """Which deliveries of one channel are settled: all up to `floor`, and those `beyond`."""

    channel: object = None
    floor: int = 0
    beyond: set[int] = field(default_factory=set)

    def settle(self, tags: Sequence[int]) -> None:
        self.beyond.update(tags)
        while self.floor + 1 in self.beyond:
            self.floor += 1
            self.beyond.remove(self.floor)


class _Turn:
    """The right to take what has arrived; it ends once."""

    def __init__(self, line: asyncio.Lock) -> None:
        self._line: asyncio.Lock | None = line

    def end(self) -> None:
        if self._line is not None:
            self._line.release()
            self._line = None


class Arrivals:
    """The deliveries of one queue, which come on one channel of their own at a time."""

    def __init__(self) -> None:
        self._waiting: deque[Delivery] = deque()
        self._line = asyncio.Lock()
        self._tags = _Tags()

    @asynccontextmanager
    async def turn(self, mine: Delivery) -> AsyncIterator[list[Delivery]]:
        """Wait in line with `mine`; then give all that have arrived, or none when `mine` was taken along."""
        self._waiting.append(mine)
        try:
            await self._line.acquire()
        except asyncio.CancelledError:
            if not mine.taken:
                self._waiting.remove(mine)
            raise
        turn = _Turn(self._line)
        batch: list[Delivery] = []
        timer = asyncio.get_running_loop().call_later(TURN_SECONDS, turn.end)
        try:
            if mine.taken:
                turn.end()
                await mine.over.wait()
            else:
                # What the broker has sent in one piece is about to line up.
                await asyncio.sleep(0)
                batch = self._take()
            yield batch
        finally:
            timer.cancel()
            turn.end()
            for each in batch:
                each.over.set()

    def _take(self) -> list[Delivery]:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), TOGETHER))]
        for each in batch:
            each.taken = True
        return batch

    async def acknowledge(self, batch: Sequence[Delivery]) -> None:
        """Acknowledge deliveries with one message, if everything before the last of them is settled."""
        tags = [_tag(delivery.message) for delivery in batch]
        last = max(batch, key=lambda delivery: _tag(delivery.message)).message
        known = self._tags.beyond.union(tags)
        if all(_channel(delivery.message) is self._tags.channel for delivery in batch) and known.issuperset(
            range(self._tags.floor + 1, _tag(last) + 1)
        ):
            await last.ack(multiple=True)
            self._tags.settle(tags)
            for delivery in batch:
                delivery.settled = True

    def begin(self, message: RabbitMessage) -> None:
        """Know of a message; tags begin anew with a new channel."""
        if _channel(message) is not self._tags.channel:
            self._tags = _Tags(_channel(message))

    def settle(self, message: RabbitMessage) -> None:
        """Know that a message was settled by itself."""
        if _channel(message) is self._tags.channel:
            self._tags.settle([_tag(message)])


def _channel(message: RabbitMessage) -> object:
    return message.raw_message.channel


def _tag(message: RabbitMessage) -> int:
    return message.raw_message.delivery_tag or 0

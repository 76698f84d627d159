"""What the gateways that share a port tell each other: which sessions have ended.

Each has a pipe that it reads and the others write. A record is in the pipe before the answer that ends a
session goes out, and whoever is asked reads before it decides: nobody is let in by one gateway with what
another has ended. A record that finds no room is not lost, because identity's list tells it, too.
"""

import asyncio
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from gateway.revocations import DenyList

_RECORD = struct.Struct(">c16sq")
_READ_BYTES = _RECORD.size * 100
_SESSION, _PERSON = b"s", b"p"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Pipes:
    """Descriptors of one of several gateways; `parent` is at its end when the parent process is."""

    parent: int
    inbox: int
    others: Sequence[int]


class Siblings:
    """The other gateways on this port; without pipes there are none."""

    def __init__(self, denylist: DenyList, pipes: Pipes | None = None) -> None:
        self._denylist = denylist
        self._pipes = pipes

    def tell_session(self, session_id: UUID) -> None:
        """Let the others refuse that session from now on."""
        self._tell(_SESSION, session_id, 0)

    def tell_person(self, user_id: UUID, revoked_at: datetime) -> None:
        """Let the others refuse what was issued to that person until `revoked_at`."""
        self._tell(_PERSON, user_id, (revoked_at - _EPOCH) // _MICROSECOND)

    def hear(self) -> None:
        """Refuse from now on whatever the others have ended."""
        if self._pipes is None:
            return
        for kind, number, moment in self._records(self._pipes.inbox):
            if kind == _SESSION:
                self._denylist.deny_session(UUID(bytes=number))
            else:
                self._denylist.deny_person(UUID(bytes=number), _EPOCH + moment * _MICROSECOND)

    async def run(self) -> None:
        """Hear until the parent process is gone, so that the pipe never fills while nobody asks."""
        if self._pipes is None:
            raise RuntimeError("a gateway without siblings has nobody to hear")
        gone = asyncio.Event()
        with _called(self._pipes.inbox, self.hear), _called(self._pipes.parent, gone.set):
            await gone.wait()

    def _tell(self, kind: bytes, number: UUID, moment: int) -> None:
        for other in self._pipes.others if self._pipes is not None else ():
            try:
                # So short a record is written as a whole, whoever else writes (POSIX, PIPE_BUF).
                os.write(other, _RECORD.pack(kind, number.bytes, moment))
            except BlockingIOError:
                log.warning("sibling_does_not_hear")

    @staticmethod
    def _records(inbox: int) -> Iterator[tuple[bytes, bytes, int]]:
        try:
            while read := os.read(inbox, _READ_BYTES):
                yield from _RECORD.iter_unpack(read)
        except BlockingIOError:
            # Everything has been read.
            return


@contextmanager
def _called(descriptor: int, action: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, action)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)

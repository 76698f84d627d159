"""Writes the log in a thread: whoever logs never waits for whoever reads the log."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

WHOLE_BYTES = 4096
"""What the system writes as a whole into a pipe (POSIX, PIPE_BUF): lines of several processes never mix."""
MOST_WAITING = 10_000
"""Lines that wait to be written, about 3 MB; more are dropped and counted."""
COLLECT_SECONDS = 0.05
"""How long a line waits for others: each turn of the thread takes the interpreter from the requests."""
DRAIN_SECONDS = 2.0


class LogWriter:
    """A stream whose lines a thread writes to another one, in their order.

    While that one takes nothing, lines wait, up to a number; those above it are dropped, and how many is told
    in the log as soon as it goes on.
    """

    def __init__(
        self, stream: TextIO, *, tell_dropped: Callable[[int], None], most: int = MOST_WAITING
    ) -> None:
        """`tell_dropped` logs how many lines are missing."""
        self._stream = stream
        self._tell_dropped = tell_dropped
        self._most = most
        self._begin()
        # No thread survives a fork, and what waited is the parent's to write; nothing is half written then.
        os.register_at_fork(before=self._pause, after_in_parent=self._resume, after_in_child=self._begin)

    def _begin(self) -> None:
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._counting = threading.Lock()
        self._waiting = threading.Event()
        self._turn = threading.Lock()
        self._paused = False
        self._thread: threading.Thread | None = None

    def _pause(self) -> None:
        self._paused = self._turn.acquire(timeout=DRAIN_SECONDS)

    def _resume(self) -> None:
        if self._paused:
            self._turn.release()

    def write(self, text: str) -> int:
        """Have `text` written soon, a line or several."""
        if len(self._lines) >= self._most:
            self._count_dropped(1)
            return 0
        self._lines.append(text)
        self._waiting.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
            self._thread.start()
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread flushes what it has written."""

    def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Write what waits, and return when that is done; a write that hangs has `seconds` to end."""
        if self._turn.acquire(timeout=seconds):
            try:
                self._write_all()
            finally:
                self._turn.release()

    def _run(self) -> None:
        while self._waiting.wait():
            time.sleep(COLLECT_SECONDS)
            self._waiting.clear()
            with self._turn:
                self._write_all()

    def _write_all(self) -> None:
        while self._lines:
            # Only who has the turn takes lines away, so as many are there as were counted.
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            try:
                for piece in _pieces(lines):
                    self._stream.write(piece)
                    self._stream.flush()
            except (OSError, ValueError):
                # The reader is gone, or the stream is closed: there is nowhere to say so yet.
                self._count_dropped(len(lines))
                return
            if dropped := self._dropped:
                self._count_dropped(-dropped)
                self._tell_dropped(dropped)

    def _count_dropped(self, count: int) -> None:
        with self._counting:
            self._dropped += count


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """Put lines together, as many as are written as a whole; what is longer than that goes alone."""
    piece, size = "", 0
    for line in lines:
        length = len(line.encode())
        if piece and size + length > WHOLE_BYTES:
            yield piece
            piece, size = "", 0
        piece, size = piece + line, size + length
    if piece:
        yield piece

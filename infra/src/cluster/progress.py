"""Lines that say what happens, with the seconds since the start."""

import sys
import time
from typing import TextIO


class Progress:
    """Prints `[ 12.3s] text`; safe to share between concurrent tasks."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """Print one line."""
        print(f"[{self.seconds:5.1f}s] {text}", file=self._stream, flush=True)


class Silence(Progress):
    """Prints nothing; for tests that start servers."""

    def say(self, text: str) -> None:
        """Drop the line."""

"""Tells a story in the terminal: chapters, requests with their answers, facts and proofs."""

import re
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

from cluster import table
from demo.client import Answer

SHOWN = 84
LONG_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{6}([0-9a-f]{6})")
FIRST_REFUSAL = 400
BOLD, DIM, GREEN, YELLOW, RED, PLAIN = "\033[1m", "\033[2m", "\033[32m", "\033[33m", "\033[31m", "\033[0m"


class StoryBroken(Exception):
    """Something went otherwise than it should; says what."""


class Narrator:
    """Prints the story as it happens; colours only where a person looks."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._colours = self._stream.isatty()
        self._chapters = 0
        self._proofs = 0
        self._calls = 0
        self._began = time.monotonic()

    @property
    def summary(self) -> str:
        """How much was told, and how long it took."""
        seconds = time.monotonic() - self._began
        return f"{self._calls} requests, {self._proofs} proofs, {seconds:.1f} s"

    def chapter(self, title: str) -> None:
        """Begin a numbered chapter."""
        self._chapters += 1
        self._line("")
        self._line(self._coloured(BOLD, f"{self._chapters:2}  {title}"))

    def heard(self, answer: Answer) -> None:
        """Show one request with its answer; listens to the client."""
        self._calls += 1
        request = f"{answer.method:<6} " + LONG_ID.sub(r"…\1", answer.target)
        colour = GREEN if answer.status < FIRST_REFUSAL else YELLOW
        status = self._coloured(colour, str(answer.status))
        reason = f"  {answer.problem}" if answer.problem else ""
        self._line(f"    {request:<52} {status} {answer.milliseconds:6.0f} ms{reason}")

    def fact(self, name: str, value: Any) -> None:
        """Show one interesting field."""
        text = " ".join(str(value).split())
        shown = text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
        self._line(self._coloured(DIM, f"           {name:<22} {shown}"))

    def fields(self, answer: Answer, *names: str) -> None:
        """Show some fields of an answer."""
        for name in names:
            self.fact(name, answer.document.get(name))

    def table(self, rows: Sequence[Sequence[str]], headings: Sequence[str]) -> None:
        """Show a table."""
        for line in table.render(rows, headings=headings).splitlines():
            self._line(f"           {line}")

    def expect(self, answer: Answer, *statuses: int) -> Answer:
        """Pass the answer on when it has one of these statuses."""
        if answer.status not in statuses:
            wanted = " or ".join(str(status) for status in statuses)
            text = answer.body[:400].decode("utf-8", errors="replace")
            raise StoryBroken(
                f"{answer.method} {answer.target} answered {answer.status} instead of {wanted}: {text}"
            )
        return answer

    def prove(self, holds: bool, claim: str) -> None:
        """Show a claim that holds; end the story when it does not."""
        if not holds:
            raise StoryBroken(f"this does not hold: {claim}")
        self.proven(claim)

    def proven(self, claim: str) -> None:
        """Show a claim that the answers just before have shown."""
        self._proofs += 1
        self._line(f"         {self._coloured(GREEN, '✓')} {claim}")

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def _coloured(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if self._colours else text

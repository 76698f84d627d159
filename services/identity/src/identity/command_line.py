"""What the operator's commands of identity have in common: how they answer."""

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from identity.wiring import Service

Command = Callable[[Service, argparse.Namespace], Awaitable[int]]


def say(text: str) -> int:
    """Write an answer; return the exit status of success."""
    sys.stdout.write(text + "\n")
    return 0


def fail(text: str) -> int:
    """Write what is wrong; return the exit status of failure."""
    sys.stderr.write(text + "\n")
    return 1


def in_a_line(text: str, *, most: int = 200) -> str:
    """Return the words of an argument; raises `argparse.ArgumentTypeError` for none, or too many."""
    if not text.strip() or not text.isprintable() or len(text) > most:
        raise argparse.ArgumentTypeError(f"say it in one line of at most {most} letters")
    return text.strip()


def columns(*rows: Sequence[str]) -> str:
    """Return rows of equal length as lines whose cells stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def spoken_age(age: timedelta) -> str:
    """Return a time in its two largest units: `3 d 4 h`, `2 h 5 min`, `7 min 1 s`."""
    seconds = max(0, int(age.total_seconds()))
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        number, seconds = divmod(seconds, size)
        if number or parts:
            parts.append(f"{number} {name}")
    return " ".join(parts[:2]) or "0 s"

"""What a run has measured, held against the bars, as a page."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median

PACKAGES = ("argon2-cffi", "fastapi", "uvicorn", "uvloop", "sqlalchemy", "asyncpg", "redis", "pyjwt")
MOST_DRIFT = 1.15
"""How much faster one bare measure of a round may be than the other, before something else disturbed it."""
MOST_OF_OTHERS = 0.05
"""Which part of the cores may go to others: sign-ins need more than one core, the bare limit does not."""
FEWEST_LOGINS = 0.9
MOST_WAIT = 2.0


@dataclass(frozen=True)
class Round:
    """One figure of each kind: per second, and milliseconds."""

    bare_before: float
    bare_after: float
    logins: float
    me_idle: float
    me_flooded: float
    others: float
    """Which part of the cores everybody else used while people signed in."""

    @property
    def limit(self) -> float:
        """The bare limit around the sign-ins."""
        return (self.bare_before + self.bare_after) / 2

    @property
    def is_quiet(self) -> bool:
        """Whether the bare limit stood still meanwhile, and others left the cores alone."""
        low, high = sorted((self.bare_before, self.bare_after))
        return high / low <= MOST_DRIFT and self.others <= MOST_OF_OTHERS

    def __str__(self) -> str:
        return (
            f"bare {self.bare_before:.1f} and {self.bare_after:.1f}/s, sign-ins {self.logins:.1f}/s, "
            f"me {self.me_idle:.2f} ms, during sign-ins {self.me_flooded:.2f} ms, others {self.others:.0%}"
            + ("" if self.is_quiet else " (disturbed)")
        )


@dataclass(frozen=True)
class Bar:
    """A ratio of every round, and whether their median keeps its limit."""

    name: str
    ratios: list[float]
    wanted: str
    kept: bool

    @property
    def figure(self) -> float:
        """The median of the rounds."""
        return median(self.ratios)

    @property
    def line(self) -> str:
        """A row of the table."""
        spread = f"{min(self.ratios):.2f} to {max(self.ratios):.2f}"
        return (
            f"| {self.name} | {self.figure:.2f} | {spread} | {self.wanted} | {'yes' if self.kept else 'no'} |"
        )


def bars_of(rounds: Sequence[Round]) -> list[Bar]:
    """Judge the rounds."""
    logins = [one.logins / one.limit for one in rounds]
    waits = [one.me_flooded / one.me_idle for one in rounds]
    return [
        Bar(
            "sign-ins per second / bare argon2id limit",
            logins,
            f"at least {FEWEST_LOGINS}",
            median(logins) >= FEWEST_LOGINS,
        ),
        Bar(
            "`GET /users/me` during sign-ins / idle, p50",
            waits,
            f"at most {MOST_WAIT:g}",
            median(waits) <= MOST_WAIT,
        ),
    ]


def page(bars: Sequence[Bar], rounds: Sequence[Round], *, about: str, of_rounds: int, servers: str) -> str:
    """Return the report in Markdown."""
    series = {
        "bare argon2id, per second": [one.limit for one in rounds],
        "sign-ins, per second": [one.logins for one in rounds],
        "`GET /users/me` idle, p50 in ms": [one.me_idle for one in rounds],
        "`GET /users/me` during sign-ins, p50 in ms": [one.me_flooded for one in rounds],
    }
    figures = {
        name: f"| {name} | {median(values):.2f} | {', '.join(f'{value:.2f}' for value in values)} |"
        for name, values in series.items()
    }
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"""# Benchmark: sign-ins against the limit of the machine

`make bench` wrote this on {datetime.now(UTC):%Y-%m-%d}; [README.md](README.md) says how it measures.

| median of {len(rounds)} undisturbed rounds (of {of_rounds}) | figure | rounds | wanted | kept |
|---|---|---|---|---|
{chr(10).join(bar.line for bar in bars)}

| measured | median | each round |
|---|---|---|
{chr(10).join(figures.values())}

- {about}
- {os.cpu_count()} cores for servers, API, clients and others; load at the end {os.getloadavg()[0]:.1f};
  {platform.system()} {platform.machine()}, Python {platform.python_version()}
- {servers}; {versions}
"""

"""What a run has measured, as a page."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median

from benchmarks.comparison import Result

PACKAGES = (
    "argon2-cffi",
    "fastapi",
    "uvicorn",
    "uvloop",
    "sqlalchemy",
    "asyncpg",
    "redis",
    "pyjwt",
    "aio-pika",
)


def page(results: Sequence[Result], *, servers: str, remarks: str) -> str:
    """Return the report in Markdown; `remarks` is what a person has found out about rows that are missed."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"""# Benchmark: the platform beside peers and limits

`make bench` wrote this on {datetime.now(UTC):%Y-%m-%d}; [README.md](README.md) says how it measures. Ratios
are of pairs that were measured one after the other in one run.

| ours / the reference | ratio, median | range | wanted | ours | reference | CPU ms | verdict |
|---|---|---|---|---|---|---|---|
{chr(10).join(_line(result) for result in results)}

- Medians of each row's undisturbed pairs; "CPU ms" is per request or erasure, ours and the reference's,
  servers included, the clients not. A pair
  during which the machine lost more than 15 % to others does not count.
- {os.cpu_count()} cores for all of it; load at the end {os.getloadavg()[0]:.1f};
  {platform.system()}, Python {platform.python_version()}
- {servers}; {versions}
{remarks}"""


def _line(result: Result) -> str:
    row = result.row
    if not result.ours or result.failure:
        return f"| {row.name} | - | - | {_wanted(result)} | - | - | - | {result.verdict} |"
    ratios, ours = result.ratios, median(one.value for one in result.ours)
    cpu = f"{median(one.cpu for one in result.ours):.1f}"
    reference = "-"
    if result.references:
        reference = f"{median(one.value for one in result.references):.1f} {row.unit}"
        cpu += f" / {median(one.cpu for one in result.references):.1f}"
    ratio, spread = f"{median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"
    cells = (
        row.name,
        ratio if row.reference else "-",
        spread,
        _wanted(result),
        f"{ours:.1f} {row.unit}",
        reference,
        cpu if any(one.cpu for one in result.ours) else "-",
        result.verdict,
    )
    return f"| {' | '.join(cells)} |"


def _wanted(result: Result) -> str:
    row = result.row
    unit = "" if row.reference else f" {row.unit}"
    return f"{'at most' if row.at_most else 'at least'} {row.wanted:g}{unit}"

"""How much of the machine everybody else uses, as far as Linux tells."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
IDLE_FIELDS = (3, 4)
"""Idle and waiting for a disk, in the first line of /proc/stat."""


@dataclass(frozen=True)
class Usage:
    """Processor seconds so far: of the whole machine, and of this process and all that it has started."""

    at: float
    machine: float
    own: float


def usage() -> Usage:
    """Look at the clocks; on other systems they stand still."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return Usage(time.monotonic(), 0.0, 0.0)
    fields = [int(field) for field in stat.read_text().splitlines()[0].split()[1:9]]
    busy = sum(ticks for index, ticks in enumerate(fields) if index not in IDLE_FIELDS)
    return Usage(time.monotonic(), busy / TICKS_PER_SECOND, _own_ticks() / TICKS_PER_SECOND)


def share_of_others(before: Usage, after: Usage) -> float:
    """Return which part of all cores others used between two looks: 0 to 1."""
    others = (after.machine - before.machine) - (after.own - before.own)
    return max(0.0, others / ((after.at - before.at) * (os.cpu_count() or 1)))


def _own_ticks() -> int:
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            # It ended between the listing and the look.
            continue
        process = int(directory.name)
        parents[process] = int(fields[1])
        # With those that it has waited for already.
        ticks[process] = sum(int(field) for field in fields[11:15])
    return sum(used for process, used in ticks.items() if _is_ours(process, parents))


def _is_ours(process: int, parents: dict[int, int]) -> bool:
    while process in parents:
        if process == os.getpid():
            return True
        process = parents[process]
    return False

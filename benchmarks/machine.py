"""How busy the machine is and with whom, and what processes hold in memory, as far as Linux tells."""

import asyncio
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
IDLE_FIELDS = (3, 4)
"""Idle and waiting for a disk, in the first line of /proc/stat."""
GAUGE_SECONDS = 0.2
SETTLED = 0.1
"""Up to which part of all cores may be busy in a machine that rests."""
LOOK_SECONDS = 0.3
SETTLES_WITHIN_SECONDS = 60.0
BLOCK = bytes(64 * 1024)


@dataclass(frozen=True)
class Usage:
    """Processor seconds so far: of the whole machine, and of this process."""

    at: float
    machine: float
    measuring: float


def usage() -> Usage:
    """Look at the clocks; on other systems they stand still."""
    stat = Path("/proc/stat")
    times = os.times()
    if not stat.exists():
        return Usage(time.monotonic(), 0.0, times.user + times.system)
    fields = [int(field) for field in stat.read_text().splitlines()[0].split()[1:9]]
    busy = sum(ticks for index, ticks in enumerate(fields) if index not in IDLE_FIELDS)
    return Usage(time.monotonic(), busy / TICKS_PER_SECOND, times.user + times.system)


async def settled() -> None:
    """Wait until the machine rests, for a minute at most: whoever still works then works for others."""
    until = time.monotonic() + SETTLES_WITHIN_SECONDS
    before = usage()
    while time.monotonic() < until:
        await asyncio.sleep(LOOK_SECONDS)
        after = usage()
        if after.machine - before.machine < SETTLED * (after.at - before.at) * (os.cpu_count() or 1):
            return
        before = after


def served_seconds(before: Usage, after: Usage) -> float:
    """Return the processor seconds between two looks of everything but the process that measures."""
    return max(0.0, (after.machine - before.machine) - (after.measuring - before.measuring))


def gauge() -> float:
    """Return how many MiB per second all cores can hash right now: what is left of the machine."""
    cores = os.cpu_count() or 1

    def hash_for_a_while(_: int) -> int:
        done, until = 0, time.perf_counter() + GAUGE_SECONDS
        while time.perf_counter() < until:
            hashlib.sha256(BLOCK).digest()
            done += 1
        return done

    with ThreadPoolExecutor(cores) as threads:
        return sum(threads.map(hash_for_a_while, range(cores))) * len(BLOCK) / 2**20 / GAUGE_SECONDS


def processes_with(variable: str, value: str) -> list[int]:
    """List the processes whose environment sets a variable to that value."""
    wanted = f"{variable}={value}".encode()
    return [
        process for process, directory in _processes() if wanted in _read(directory / "environ").split(b"\0")
    ]


def runs_module(process: int, modules: Iterable[str]) -> bool:
    """Whether a process is `python -m` one of these modules."""
    words = _read(Path(f"/proc/{process}/cmdline")).decode(errors="replace").split("\0")
    return "-m" in words and words[words.index("-m") + 1] in modules


def processor_seconds(processes: list[int]) -> float:
    """Return the processor seconds that these processes have used so far."""
    ticks = 0
    for process in processes:
        fields = _read(Path(f"/proc/{process}/stat")).decode().rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:13])
    return ticks / TICKS_PER_SECOND


def proportional_set_mib(processes: list[int]) -> float:
    """Return the memory of these processes in MiB; pages that several share are divided among them (PSS)."""
    kib = 0
    for process in processes:
        for line in _read(Path(f"/proc/{process}/smaps_rollup")).decode().splitlines():
            if line.startswith("Pss:"):
                kib += int(line.split()[1])
    return kib / 1024


def _processes() -> Iterator[tuple[int, Path]]:
    for directory in Path("/proc").glob("[0-9]*"):
        yield int(directory.name), directory


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        # It ended between the listing and the look, or is none of ours to look at.
        return b""

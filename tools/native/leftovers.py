"""Finds and ends processes of a cluster by the mark that each of them carries."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from native.programs import MARKER

PAUSE = 0.05


def processes_of(mark: str) -> list[int]:
    """Pids of the processes that were started for the cluster `mark`, this process aside."""
    wanted = f"{MARKER}={mark}"
    found = _from_proc(wanted) if sys.platform == "linux" else _from_ps(wanted)
    return [pid for pid in found if pid != os.getpid()]


def end(mark: str, *, grace: float) -> int:
    """Ask them to stop, kill those that still run after `grace` seconds; returns how many there were."""
    pids = processes_of(mark)
    _signal(pids, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while running := processes_of(mark):
        if time.monotonic() > deadline:
            _signal(running, signal.SIGKILL)
        time.sleep(PAUSE)
    return len(pids)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _from_proc(wanted: str) -> list[int]:
    line = wanted.encode()
    pids = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            # Somebody else's, or gone.
            continue
        if line in variables:
            pids.append(int(process.name))
    return pids


def _from_ps(wanted: str) -> list[int]:
    lines = subprocess.run(
        ["ps", "-axEww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    ).stdout
    return [int(line.split(None, 1)[0]) for line in lines.splitlines() if f" {wanted} " in f"{line} "]

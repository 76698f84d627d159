"""Finds and ends processes of a cluster by the mark that each of them carries."""

import contextlib
import os
import signal

import psutil

from native.programs import MARKER


def processes_of(mark: str) -> list[int]:
    """Pids of the processes that were started for the cluster `mark`, this process aside."""
    return [process.pid for process in _processes_of(mark)]


def end(mark: str, *, grace: float) -> int:
    """Ask them to stop, kill those that still run after `grace` seconds; returns how many there were."""
    found = _processes_of(mark)
    _signal(found, signal.SIGTERM)
    psutil.wait_procs(found, timeout=grace)
    # What they have started meanwhile goes too.
    while running := _processes_of(mark):
        _signal(running, signal.SIGKILL)
        psutil.wait_procs(running)
    return len(found)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _processes_of(mark: str) -> list[psutil.Process]:
    # The environment of somebody else's process is not shown.
    return [
        process
        for process in psutil.process_iter(["environ"])
        if process.pid != os.getpid() and (process.info["environ"] or {}).get(MARKER) == mark
    ]

"""What both kinds of test servers share: a place, a reaper, values on free ports, a loop of their own."""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cluster import env_file, variables
from support.free_ports import pick_free


def temporary_directory() -> Path:
    """Make a directory that other accounts can pass through, because PostgreSQL may run as one."""
    directory = Path(tempfile.mkdtemp(prefix="irisvue-test-"))
    directory.chmod(0o711)
    return directory


def values_on_free_ports(directory: Path, **given: str) -> dict[str, str]:
    """Write a `.env` with random secrets and free ports into `directory` and return its values."""
    chosen = pick_free(name for name, variable in variables.variables().items() if variable.is_port)
    path = directory / ".env"
    env_file.ensure(path, given={name: str(port) for name, port in chosen.items()} | given)
    return env_file.load(path)


@contextlib.contextmanager
def reaper(mark: str, directories: tuple[Path, ...], *, label: str = "") -> Iterator[None]:
    """Have a process beside this one clean up at the end of the block, or when this process is killed."""
    command = [sys.executable, "-m", "support.reaper", mark, label, *map(str, dict.fromkeys(directories))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        yield
        # Its standard input is what it waits on; leaving the block waits for its end.
        if process.stdin is not None:
            process.stdin.close()


def in_new_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a thread, because a test runner may have an event loop in this one."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, work).result()

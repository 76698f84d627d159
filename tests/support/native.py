"""Starts the servers of a test session as processes on free ports."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from cluster.checks import server_checks
from cluster.progress import Progress
from cluster.readiness import Check, until_ready
from native import accounts
from native.install import install_missing
from native.programs import MARKER, Program
from native.servers import Server, Servers, servers_of
from support.isolation import in_new_loop, reaper, temporary_directory, values_on_free_ports
from support.running import RunningServers

START_SECONDS = 90
SHOWN_LINES = 15

Process = subprocess.Popen[bytes]


@contextlib.contextmanager
def native_servers(*, durable: bool = False) -> Iterator[RunningServers]:
    """Real servers in a temporary directory; gone at the end, with their data.

    `durable` flushes to the disk as in production, for measurements.
    """
    install_missing(Progress(sys.stderr))
    directory = temporary_directory()
    values = values_on_free_ports(directory)
    servers = servers_of(values, directory, directory / "s", tag=directory.name, durable=durable)
    with reaper(str(directory), (directory, servers.postgres.home)):
        started: list[Process] = []
        try:
            in_new_loop(_start_all(servers, server_checks(values), directory, started))
            yield RunningServers(values, servers.mail.directory)
        finally:
            _end(started)


async def _start_all(
    servers: Servers, checks: Mapping[str, Check], directory: Path, started: list[Process]
) -> None:
    async with asyncio.TaskGroup() as tasks:
        for server in servers.all():
            tasks.create_task(_start(server, checks[server.name], directory, started))


async def _start(server: Server, check: Check, directory: Path, started: list[Process]) -> None:
    await asyncio.to_thread(server.prepare)
    for program in server.programs():
        log = directory / f"{program.name}.log"
        with log.open("w") as output:
            process = start_program(program, output, mark=str(directory))
        started.append(process)

    def why_dead() -> str | None:
        if process.poll() is None:
            return None
        return (
            "\n".join(log.read_text(errors="replace").splitlines()[-SHOWN_LINES:])
            or f"exit {process.returncode}"
        )

    await until_ready(server.name, check, seconds=START_SECONDS, still_alive=why_dead)


def start_program(program: Program, output: TextIO, *, mark: str) -> Process:
    """Start it in a session of its own, with the account that it wants."""
    return subprocess.Popen(
        program.command,
        cwd=program.directory,
        env={**os.environ, MARKER: mark, **program.environment},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        user=program.account,
        group=accounts.group_of(program.account) if program.account else None,
        extra_groups=[] if program.account else None,
        start_new_session=True,
    )


def _end(started: list[Process]) -> None:
    """Kill them: the data is thrown away, so nobody needs to stop in good order."""
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for process in started:
        process.wait()

"""Starts and stops the whole cluster as processes of this machine."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from cluster import ports
from cluster.bootstrap import Bootstrap
from cluster.checks import server_checks, service_checks
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.members import DATABASE_SERVICES
from cluster.progress import Progress
from cluster.readiness import Check, NotReadyError, until_ready
from native import leftovers, services
from native.environment import process_environment
from native.install import install_missing
from native.programs import MARKER, Program
from native.servers import Server, servers_of
from native.supervisor import RUNNING, Supervisor

# Generous, for machines that do much else; a program that exits again and again ends the wait at once.
SERVER_SECONDS = 180
SERVICE_SECONDS = 180
LEFTOVER_SECONDS = 10
SHOWN_LINES = 15


class NativeCluster:
    """One cluster of native processes."""

    def __init__(
        self, layout: Layout, values: Mapping[str, str], progress: Progress, *, watch: bool = False
    ) -> None:
        self._layout = layout
        self._values = values
        self._progress = progress
        self._mark = str(layout.var)
        self._supervisor = Supervisor(layout)
        self._servers = servers_of(values, layout.var, layout.sockets, tag=layout.tag)
        self._services = services.programs(layout, values, watch=watch)
        self._checks = server_checks(values) | service_checks(values)

    async def up(self, *, only_servers: bool) -> None:
        """Start what does not run, prepare the servers, start our services anew, wait until all are ready."""
        install_missing(self._progress)
        self._layout.make_directories()
        self._recover()
        self._explain_places()
        server_programs = [program for server in self._servers.all() for program in server.programs()]
        self._refuse_taken_ports([*server_programs, *([] if only_servers else self._services)])
        # Before the programs are loaded: supervisord checks that their directories exist.
        await asyncio.gather(*(asyncio.to_thread(server.prepare) for server in self._servers.all()))
        self._supervisor.load([*server_programs, *self._services])
        if not only_servers:
            await asyncio.to_thread(self._supervisor.stop, [program.name for program in self._services])
        try:
            await self._start_all(only_servers=only_servers)
        except* ClusterError as group:
            error = _first(group)
            raise ClusterError(f"{error}\nWhat was started keeps running; `make down` stops it.") from None

    async def _start_all(self, *, only_servers: bool) -> None:
        bootstrap = Bootstrap(process_environment(self._values, "bootstrap"))
        servers = self._servers
        async with asyncio.TaskGroup() as tasks:
            broker = tasks.create_task(self._server(servers.rabbitmq, bootstrap.rabbitmq))
            database = tasks.create_task(self._server(servers.postgres, bootstrap.postgres))
            store = tasks.create_task(self._server(servers.s3, bootstrap.s3))
            others = [tasks.create_task(self._server(server)) for server in (servers.redis, servers.mail)]
            if only_servers:
                return
            migrated = {
                service: tasks.create_task(self._migrate(service, database)) for service in DATABASE_SERVICES
            }
            for program in self._services:
                service, _, process = program.name.partition("-")
                needed = (
                    [migrated[service]] if process == "api" else [*migrated.values(), broker, store, *others]
                )
                tasks.create_task(self._service(program, needed))

    async def _server(self, server: Server, prepare: Check | None = None) -> None:
        began = self._progress.seconds
        for program in server.programs():
            await asyncio.to_thread(self._supervisor.start, program.name)
        name = server.name
        await self._wait(name, seconds=SERVER_SECONDS)
        if prepare is not None:
            await prepare()
        self._progress.say(f"{name} is ready ({self._progress.seconds - began:.1f} s)")

    async def _migrate(self, service: str, database: "asyncio.Task[None]") -> None:
        await database
        began = self._progress.seconds
        log = self._layout.logs / f"{service}-migrate.log"
        with log.open("w") as output:
            process = await asyncio.create_subprocess_exec(
                *services.command_of(self._layout, service, "migrate"),
                cwd=self._layout.checkout,
                env=os.environ | {MARKER: self._mark},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            code = await process.wait()
        if code != 0:
            raise ClusterError(f"The migrations of {service} failed.\n{self._last_lines(log.stem)}")
        self._progress.say(f"{service} has migrated ({self._progress.seconds - began:.1f} s)")

    async def _service(self, program: Program, needed: "list[asyncio.Task[None]]") -> None:
        for task in needed:
            await task
        began = self._progress.seconds
        await asyncio.to_thread(self._supervisor.start, program.name)
        await self._wait(program.name, seconds=SERVICE_SECONDS)
        self._progress.say(f"{program.name} is ready ({self._progress.seconds - began:.1f} s)")

    async def _wait(self, name: str, *, seconds: float) -> None:
        def why_dead() -> str | None:
            state = self._supervisor.states().get(name)
            return None if state in RUNNING else f"it exited again and again ({state})"

        try:
            await until_ready(name, self._checks[name], seconds=seconds, still_alive=why_dead)
        except ClusterError as error:
            raise ClusterError(f"{error}\n{self._last_lines(name)}") from error

    async def status(self) -> list[tuple[str, str, str]]:
        """Return name, state and readiness of each program; empty when nothing runs."""
        if not self._supervisor.is_running():
            return []
        states = self._supervisor.states()
        answers = await asyncio.gather(
            *(_answer(states.get(name), ask) for name, ask in self._checks.items())
        )
        named = zip(self._checks, answers, strict=True)
        return [(name, states.get(name, "?").lower(), said) for name, said in named]

    def down(self) -> None:
        """Stop everything, also what a crashed start left behind."""
        if self._supervisor.is_running():
            own = {program.name for program in self._services}
            states = self._supervisor.states()
            self._supervisor.stop([name for name in states if name in own])
            self._progress.say("services have stopped")
            # The broker says goodbye to the port mapper, which therefore stays until the end.
            self._supervisor.stop([name for name in states if name not in own and name != "epmd"])
            self._supervisor.stop(["epmd"])
            self._supervisor.shut_down()
            self._progress.say("servers have stopped")
        count = leftovers.end(self._mark, grace=LEFTOVER_SECONDS)
        if count:
            self._progress.say(f"ended {count} processes that an earlier run left behind")

    def reset(self) -> None:
        """Delete all data of a cluster that is down."""
        for directory in self.directories():
            if directory.exists():
                shutil.rmtree(directory)

    def directories(self) -> tuple[Path, ...]:
        """Return every directory that this cluster writes to."""
        return (self._layout.var, self._layout.sockets, self._servers.postgres.home)

    def programs(self) -> list[str]:
        """Return the names of all programs, for the logs command."""
        names = [program.name for server in self._servers.all() for program in server.programs()]
        return [
            *names,
            *(f"{service}-migrate" for service in DATABASE_SERVICES),
            *(p.name for p in self._services),
        ]

    def logs_command(self, names: list[str], *, follow: bool) -> list[str]:
        """Return the command that prints the logs of these programs."""
        files = [self._layout.logs / f"{name}.log" for name in names]
        present = [str(file) for file in files if file.exists()]
        if not present:
            raise ClusterError("There are no logs yet. `make up` starts the cluster.")
        return ["tail", "-n", "100", *(["-F"] if follow else []), *present]

    def whole_logs(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the text of every log of every process, rotated ones too."""
        for folder in (self._layout.logs, *self._layout.var.glob("*/log")):
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    yield str(file.relative_to(self._layout.var)), file.read_bytes()

    def log_line(self, line: str) -> None:
        """Write a line into the log of Redis, as though the server had."""
        with (self._layout.logs / "redis.log").open("a") as log:
            log.write(f"{line}\n")

    def stop(self, name: str) -> None:
        """Stop one program in good order."""
        self._supervisor.stop([name])

    def stop_services(self) -> None:
        """Stop our own processes; the servers go on."""
        self._supervisor.stop([program.name for program in self._services])

    def start(self, name: str) -> None:
        """Start one program that was stopped; does not wait until it is ready."""
        self._supervisor.start(name)

    def kill(self, name: str) -> None:
        """End one program without warning; supervisord starts it again."""
        os.kill(self._supervisor.pid(name), signal.SIGKILL)

    def _recover(self) -> None:
        """Without its supervisord, whatever runs is left over from a crash and would hold our ports."""
        if self._supervisor.is_running():
            return
        count = leftovers.end(self._mark, grace=LEFTOVER_SECONDS)
        if count:
            self._progress.say(f"ended {count} processes that an earlier run left behind")

    def _explain_places(self) -> None:
        postgres = self._servers.postgres
        if postgres.home != postgres.directory:
            self._progress.say(
                f"PostgreSQL runs as {postgres.account}, who can't enter {postgres.directory}: "
                f"its data lies in {postgres.home}"
            )

    def _refuse_taken_ports(self, programs: list[Program]) -> None:
        states = self._supervisor.states() if self._supervisor.is_running() else {}
        wanted: dict[str, int] = {}
        for program in programs:
            if states.get(program.name) not in RUNNING:
                wanted |= program.ports
        ports.refuse_taken(wanted, host_of={"GATEWAY_PORT": self._values["GATEWAY_HOST"]})

    def _last_lines(self, name: str) -> str:
        file = self._layout.logs / f"{name}.log"
        if not file.exists():
            return f"It wrote no log ({file})."
        lines = file.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
        return "\n".join([f"The end of {file}:", *(f"  {line}" for line in lines)])


async def _answer(state: str | None, check: Check) -> str:
    if state not in RUNNING:
        return "-"
    try:
        await check()
    except NotReadyError as error:
        return str(error)
    return "ready"


def _first(group: BaseExceptionGroup[ClusterError]) -> ClusterError:
    for error in group.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("an exception group is never empty")

"""Starts and stops the whole cluster as containers."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from cluster import compose_file, ports, variables
from cluster.backups import BackupSettings
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.members import DATABASE_SERVICES, DOORS
from cluster.progress import Progress
from cluster.readiness import NotReadyError

# The first image makes the layers that all share; built at the same time, each would make its own.
FIRST_BUILT = "bootstrap"
MIGRATIONS = tuple(f"{service}-migrate" for service in DATABASE_SERVICES)
THEN_BUILT = (*MIGRATIONS, *DOORS, "backup")
SERVERS = ("postgres", "rabbitmq", "redis", "s3", "mail")
JOBS = ("bootstrap", *MIGRATIONS)
START_SECONDS = 300
POLL_SECONDS = 0.5
STOP_SECONDS = "30"
SHOWN_LINES = 15
API_PORT, WORKER_PORT = 8000, 8001
LABEL = "com.docker.compose.project"


class ComposeCluster:
    """One cluster of containers."""

    def __init__(
        self, layout: Layout, values: Mapping[str, str], progress: Progress, *, watch: bool = False
    ) -> None:
        self._layout = layout
        self._values = values
        self._progress = progress
        self._project = values["COMPOSE_PROJECT_NAME"]
        self._file = layout.checkout / "compose.yaml"
        self._backups = BackupSettings.of(layout, values).directory.resolve()
        self._overlays = [layout.checkout / "infra" / "docker" / "dev.yaml"] if watch else []

    async def up(self, *, only_servers: bool) -> None:
        """Build what changed, start everything, wait until all is healthy."""
        self._layout.make_directories()
        self._backups.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._refuse_taken_ports()
        await self._build(FIRST_BUILT)
        if not only_servers:
            await self._build(*THEN_BUILT)
        # Jobs that have run are started anew: the servers may be new, and migrations may have been added.
        await self._run("rm", "--force", "--stop", *(JOBS[:1] if only_servers else JOBS), log="compose-up")
        wanted = [*SERVERS, "bootstrap"] if only_servers else []
        starting = asyncio.create_task(self._run("up", "--detach", "--no-build", *wanted, log="compose-up"))
        try:
            await self._follow(starting, set(wanted) or set(self.programs()))
        finally:
            starting.cancel()

    async def _build(self, *services: str) -> None:
        began = self._progress.seconds
        await self._run("build", *services, log="compose-build")
        what = "image of the bootstrap job" if services == (FIRST_BUILT,) else "images of the services"
        self._progress.say(f"{what} built ({self._progress.seconds - began:.1f} s)")

    async def status(self) -> list[tuple[str, str, str]]:
        """Return name, state and health of each container; empty when nothing runs."""
        containers = self._containers()
        order = [name for name in self.programs() if name in containers]
        return [(name, containers[name].state, containers[name].answer) for name in order]

    def down(self) -> None:
        """Remove the containers; volumes keep the data."""
        self._compose("down", "--remove-orphans", "--timeout", STOP_SECONDS)
        self._progress.say("containers are removed")

    def reset(self) -> None:
        """Remove the volumes as well."""
        self._compose("down", "--remove-orphans", "--volumes", "--timeout", STOP_SECONDS)

    def programs(self) -> list[str]:
        """Return the names of all services of compose.yaml."""
        return list(compose_file.services(self._file, self._values))

    def logs_command(self, names: list[str], *, follow: bool) -> list[str]:
        """Return the command that prints the logs of these services."""
        options = ["--tail", "100", *(["--follow"] if follow else [])]
        return [*self._command(), "logs", *options, *names]

    def whole_logs(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the log of each container, from its start on."""
        for name in self._containers():
            command = [*self._command(), "logs", "--no-color", "--no-log-prefix", name]
            yield name, subprocess.run(command, capture_output=True, check=True).stdout

    def log_line(self, line: str) -> None:
        """Write a line into the log of Redis' container, as though the server had."""
        command = [*self._command(), "exec", "-T", "redis", "sh", "-c", "cat > /proc/1/fd/1"]
        subprocess.run(command, input=f"{line}\n".encode(), check=True)

    def stop(self, name: str) -> None:
        """Stop one service in good order."""
        self._compose("stop", "--timeout", STOP_SECONDS, name)

    def stop_services(self) -> None:
        """Stop our own containers; the servers go on."""
        ours = [name for name in self.programs() if name not in {*SERVERS, *JOBS}]
        self._compose("stop", "--timeout", STOP_SECONDS, *ours)

    def start(self, name: str) -> None:
        """Start one service that was stopped; does not wait until it is healthy."""
        self._compose("start", name)

    def kill(self, name: str) -> None:
        """End one service without warning and start it again, as supervisord would."""
        self._compose("kill", "--signal", "KILL", name)
        self._compose("start", name)

    async def answers(self, name: str) -> None:
        """Pass when this service says now that it is ready; its port isn't published."""
        port = WORKER_PORT if name.endswith("-worker") else API_PORT
        question = ("python", "-I", "-S", "/usr/local/bin/ready.py", str(port))
        try:
            await asyncio.to_thread(self.execute, name, *question)
        except ClusterError as error:
            raise NotReadyError(f"{name} is not ready") from error

    def execute(self, name: str, *command: str) -> str:
        """Run a program inside of a running service; return what it has printed."""
        return self._compose("exec", "--no-TTY", name, *command)

    def become(self, name: str, *command: str) -> NoReturn:
        """Replace this process by a program inside of a running service, with its input and its output."""
        terminal = [] if sys.stdin.isatty() else ["--no-TTY"]
        words = [*self._command(), "exec", *terminal, name, *command]
        os.execvpe(words[0], words, self._environment())  # noqa: S606 - no shell is wanted

    def _command(self) -> list[str]:
        return [
            *("docker", "compose", "--project-name", self._project),
            *("--project-directory", str(self._layout.checkout), "--file", str(self._file)),
            *(word for overlay in self._overlays for word in ("--file", str(overlay))),
            *("--env-file", str(self._layout.env_file)),
        ]

    def _environment(self) -> dict[str, str]:
        """Return this process's environment without our variables, because `.env` decides about them."""
        ours = {name: value for name, value in os.environ.items() if name not in variables.variables()}
        # The engine would make the directory as root, and beside another cluster's compose.yaml.
        user = self._values["BACKUP_USER"] or f"{os.getuid()}:{os.getgid()}"
        return ours | {"BACKUP_DIRECTORY": str(self._backups), "BACKUP_USER": user}

    def _compose(self, *arguments: str) -> str:
        result = subprocess.run(
            [*self._command(), *arguments],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise ClusterError(f"`docker compose {' '.join(arguments)}` failed:\n{_tail(result.stderr)}")
        return result.stdout

    async def _run(self, *arguments: str, log: str) -> None:
        file = self._layout.logs / f"{log}.log"
        with file.open("a") as output:
            process = await asyncio.create_subprocess_exec(
                *self._command(),
                *arguments,
                env=self._environment() | {"BUILDKIT_PROGRESS": "plain"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                process.terminate()
                raise
        if code != 0:
            failed = [name for name, container in self._containers().items() if container.has_failed]
            ends = [self._log_of(name) for name in failed]
            raise ClusterError(
                "\n".join(
                    [
                        f"`docker compose {' '.join(arguments)}` failed. The end of {file}:",
                        _tail(file.read_text(errors="replace")),
                        *ends,
                        "`make down` removes what was started; `mode=native` works without containers.",
                    ]
                )
            )

    async def _follow(self, starting: "asyncio.Task[None]", wanted: set[str]) -> None:
        """Say which container became ready, until all are."""
        said: set[str] = set()
        deadline = self._progress.seconds + START_SECONDS
        while True:
            containers = await asyncio.to_thread(self._containers)
            ready = {name for name, container in containers.items() if container.answer == "ready"}
            for name in sorted((ready & wanted) - said):
                self._progress.say(f"{name} is ready")
            said |= ready
            if starting.done():
                starting.result()
                failed = [name for name, container in containers.items() if container.has_failed]
                if failed:
                    raise ClusterError("\n".join(self._log_of(name) for name in failed))
                if wanted <= ready:
                    return
            if self._progress.seconds > deadline:
                late = sorted(wanted - ready)
                raise ClusterError(
                    f"Not ready after {START_SECONDS} s: {', '.join(late)}.\n"
                    + "\n".join(self._log_of(name) for name in late[:2])
                )
            await asyncio.sleep(POLL_SECONDS)

    def _log_of(self, name: str) -> str:
        return f"The end of {name}'s log:\n{_tail(self._compose('logs', '--no-color', '--tail', '15', name))}"

    def _containers(self) -> dict[str, "Container"]:
        listed = subprocess.run(
            ["docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}={self._project}"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
        if not listed:
            return {}
        inspected = subprocess.run(
            ["docker", "inspect", *listed], capture_output=True, text=True, check=False
        )
        containers = [Container(entry) for entry in json.loads(inspected.stdout or "[]")]
        return {container.service: container for container in containers}

    def _refuse_taken_ports(self) -> None:
        """Complain about ports of others; a cluster that runs in part holds its ports itself."""
        if any(container.state == "running" for container in self._containers().values()):
            return
        used = compose_file.variables_of(self._file)
        wanted = {
            name: int(self._values[name])
            for name, variable in variables.variables().items()
            if variable.is_port and name in used
        }
        ports.refuse_taken(wanted, host_of={"GATEWAY_PORT": self._values["GATEWAY_HOST"]})


class Container:
    """What the engine says about one container."""

    def __init__(self, inspected: Mapping[str, Any]) -> None:
        labels = inspected["Config"]["Labels"]
        state = inspected["State"]
        self.service: str = labels["com.docker.compose.service"]
        self.state: str = state["Status"]
        self.exit_code: int = state["ExitCode"]
        self.health: str = (state.get("Health") or {}).get("Status", "")

    @property
    def answer(self) -> str:
        """`ready`, or what is known instead."""
        if self.service in JOBS:
            done = self.state == "exited" and self.exit_code == 0
            return "ready" if done else f"{self.state} ({self.exit_code})"
        return "ready" if self.state == "running" and self.health == "healthy" else self.health or self.state

    @property
    def has_failed(self) -> bool:
        """Whether waiting on is pointless."""
        return self.health == "unhealthy" or (self.state == "exited" and self.exit_code != 0)


def _tail(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-SHOWN_LINES:])

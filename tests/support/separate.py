"""A whole cluster of its own for end-to-end tests, beside whatever else runs on the machine."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cluster import checks, engine, env_file
from cluster.compose import API_PORT, LABEL, ComposeCluster
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.progress import Silence
from cluster.readiness import Check, until_ready
from native.cluster import NativeCluster
from support.free_ports import pick_free
from support.isolation import reaper, temporary_directory, values_on_free_ports
from support.running import RunningServers

READY_SECONDS = 120
READINESS = """
import json, sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/health/readiness", timeout=5)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, json.load(answer).get("title", ""))
"""
"""Run where the API listens: in its container, or here."""


class SeparateCluster:
    """A running cluster; its programs have the same names in both modes: `rabbitmq`, `storage-worker`."""

    def __init__(self, layout: Layout, mode: str) -> None:
        self.layout = layout
        self.mode = mode
        self.values = env_file.load(layout.env_file)
        kind = NativeCluster if mode == "native" else ComposeCluster
        self._cluster: NativeCluster | ComposeCluster = kind(layout, self.values, Silence())

    @property
    def url(self) -> str:
        """The gateway."""
        return f"http://127.0.0.1:{self.values['GATEWAY_PORT']}"

    @property
    def servers(self) -> RunningServers:
        """Its servers, to look behind the gateway."""
        maildir = self.layout.var / "mail" / "Maildir" if self.mode == "native" else None
        return RunningServers(self.values, maildir)

    def stop(self, program: str) -> None:
        """Stop one program in good order; it stays down until `start`."""
        self._cluster.stop(program)

    def start(self, program: str) -> None:
        """Start one program that was stopped; returns before it is ready."""
        self._cluster.start(program)

    def kill(self, program: str) -> None:
        """End one program without warning (SIGKILL); it is started again at once."""
        self._cluster.kill(program)

    def up(self) -> None:
        """Prepare and start whatever is not there, as `make up` does; returns when all is ready."""
        _command(self.layout.home, "up", "--mode", self.mode)

    def wipe_broker(self) -> None:
        """Take away the disk of a broker that was stopped; `up` gives it an empty one."""
        if self.mode == "native":
            shutil.rmtree(self.layout.var / "rabbitmq" / "mnesia")
            return
        project = self.values["COMPOSE_PROJECT_NAME"]
        labels = (f"label={LABEL}={project}", "label=com.docker.compose.service=rabbitmq")
        listing = ["docker", "ps", "--all", "--quiet", *(f"--filter={label}" for label in labels)]
        containers = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
        subprocess.run(["docker", "rm", "--force", *containers], capture_output=True, check=True)
        subprocess.run(["docker", "volume", "rm", f"{project}_rabbitmq"], capture_output=True, check=True)

    async def until_ready(self, *programs: str, seconds: float = READY_SECONDS) -> None:
        """Wait until these programs are ready, or all of them when none is named."""
        known = checks.server_checks(self.values) | self._service_checks()
        for program in programs or known:
            await until_ready(program, known[program], seconds=seconds)

    def ask_ready(self, service: str) -> str:
        """Return how an API says whether it is ready: status and title; AssertionError while it does not."""
        port = self.values[f"{service.upper()}_PORT"] if self.mode == "native" else str(API_PORT)
        question = ("-I", "-c", READINESS, port)
        try:
            if isinstance(self._cluster, NativeCluster):
                command = [sys.executable, *question]
                return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
            # The port of a service is not published there.
            return self._cluster.execute(f"{service}-api", "python", *question).strip()
        except (ClusterError, subprocess.CalledProcessError) as error:
            raise AssertionError(f"{service} does not answer yet") from error

    def _service_checks(self) -> dict[str, Check]:
        if isinstance(self._cluster, NativeCluster):
            return checks.service_checks(self.values)
        return {name: partial(self._cluster.answers, name) for name in checks.service_checks(self.values)}

    def log(self, program: str) -> str:
        """Return what a program has written lately."""
        command = self._cluster.logs_command([program], follow=False)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def keep_logs(self, destination: Path) -> None:
        """Copy all logs, for a look after a failed run."""
        destination.mkdir(parents=True, exist_ok=True)
        for name in self._cluster.programs():
            try:
                (destination / f"{name}.log").write_text(self.log(name))
            except (ClusterError, subprocess.CalledProcessError) as error:
                (destination / f"{name}.log").write_text(f"no log: {error}\n")


@contextlib.contextmanager
def separate_cluster(mode: str | None = None, **given: str) -> Iterator[SeparateCluster]:
    """Start a cluster on free ports in a temporary directory, and remove it at the end with its data.

    `given` are values for its `.env`.
    """
    chosen = mode or ("native" if engine.why_not() else "compose")
    directory = temporary_directory()
    project = directory.name
    # A web page of the tests' own may use the API: its origin has to be known before the gateway starts.
    page = f"http://127.0.0.1:{pick_free(['page'])['page']}"
    given = {"GATEWAY_HOST": "127.0.0.1", "COMPOSE_PROJECT_NAME": project, "CORS_ORIGINS": page} | given
    values_on_free_ports(directory, **given)
    layout = Layout.of(directory)
    label = f"{LABEL}={project}" if chosen == "compose" else ""
    places = NativeCluster(layout, env_file.load(layout.env_file), Silence()).directories()
    with reaper(str(layout.var), (directory, *places), label=label):
        try:
            _command(directory, "up", "--mode", chosen)
            yield SeparateCluster(layout, chosen)
        finally:
            _command(directory, "down")


def _command(directory: Path, *arguments: str) -> None:
    """Run one command of the cluster; its progress goes where the test run's own output goes."""
    command = [sys.executable, "-m", "cluster", "--directory", str(directory), *arguments]
    result = subprocess.run(command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True, check=False)
    print(result.stdout)
    if result.returncode != 0:
        raise ClusterError(f"`cluster {' '.join(arguments)}` failed:\n{result.stdout}")

"""The native servers through what happens to them on a developer's machine."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import env_file, variables
from cluster.cli import main
from cluster.layout import Layout
from native import leftovers
from native.postgres import PostgresServer
from native.supervisor import Supervisor
from support.eventually import eventually
from support.isolation import reaper, temporary_directory, values_on_free_ports

UP = ("up", "--only", "servers", "--mode", "native")


@contextlib.contextmanager
def place_of_its_own() -> Iterator[Path]:
    place = temporary_directory()
    values_on_free_ports(place)
    layout = Layout.of(place)
    with reaper(str(layout.var), (place, layout.sockets)):
        yield place


@pytest.fixture
def directory() -> Iterator[Path]:
    with place_of_its_own() as place:
        yield place


@pytest.fixture(scope="module")
def running() -> Iterator[Path]:
    """Servers that are up, for every test of this file that does not care how they started."""
    with place_of_its_own() as place:
        assert cluster(place, *UP) == 0
        yield place


def cluster(directory: Path, *arguments: str) -> int:
    return main(["--directory", str(directory), *arguments])


def command_of(pid: int) -> str:
    return subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout


def test_no_secret_stands_where_others_could_read_it(running: Path) -> None:
    layout = Layout.of(running)
    secrets = [
        value
        for name, value in env_file.load(layout.env_file).items()
        if variables.variables()[name].generate
    ]

    pids = leftovers.processes_of(str(layout.var))
    commands = [command_of(pid) for pid in pids]
    configuration = (layout.var / "supervisord.conf").read_text()

    assert not [secret for secret in secrets if secret in configuration]
    assert not [secret for secret in secrets if any(secret in command for command in commands)]
    for place in ("s3", "s3/data", "redis", "rabbitmq"):
        assert stat.S_IMODE((layout.var / place).stat().st_mode) == 0o700, place
    cookie = layout.var / "rabbitmq" / "home" / ".erlang.cookie"
    assert cookie.read_text() == env_file.load(layout.env_file)["RABBITMQ_COOKIE"]


def test_servers_survive_a_second_up_and_a_killed_supervisor(running: Path) -> None:
    layout = Layout.of(running)
    supervisor = Supervisor(layout)

    first = supervisor.pid("rabbitmq")
    assert cluster(running, *UP) == 0
    assert supervisor.pid("rabbitmq") == first

    os.kill(int((layout.var / "supervisord.pid").read_text()), signal.SIGKILL)
    assert cluster(running, *UP) == 0
    assert supervisor.pid("rabbitmq") != first

    assert cluster(running, "down") == 0
    assert leftovers.processes_of(str(layout.var)) == []


async def test_down_ends_a_start_that_was_killed_half_way(directory: Path) -> None:
    layout = Layout.of(directory)
    supervisor = Supervisor(layout)

    async def postgres_runs() -> None:
        assert supervisor.is_running()
        assert supervisor.states()["postgres"] == "RUNNING"

    command = ["-m", "cluster", "--directory", str(directory), *UP]
    starting = await asyncio.create_subprocess_exec(sys.executable, *command)
    await eventually(postgres_runs, seconds=60)
    starting.kill()
    await starting.wait()

    assert leftovers.processes_of(str(layout.var)) != []
    assert cluster(directory, "down") == 0
    assert leftovers.processes_of(str(layout.var)) == []


def test_nothing_is_started_while_a_port_is_taken(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = env_file.load(directory / ".env")

    with socket.create_server(("127.0.0.1", int(values["REDIS_PORT"]))):
        assert cluster(directory, *UP) == 1

    assert f"port {values['REDIS_PORT']} (REDIS_PORT)" in capsys.readouterr().err
    assert leftovers.processes_of(str(Layout.of(directory).var)) == []


def test_postgres_finds_a_place_when_its_account_cannot_reach_the_checkout(directory: Path) -> None:
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    server = PostgresServer(
        closed / "var", {"POSTGRES_PORT": "1", "POSTGRES_ADMIN_PASSWORD": "secret"}, (), tag=directory.name
    )
    try:
        server.prepare()

        assert (server.data / "PG_VERSION").exists()
    finally:
        shutil.rmtree(server.home)

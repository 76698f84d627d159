"""Our own services as native processes."""

import shlex
import sys
from collections.abc import Mapping

from cluster.layout import Layout
from cluster.members import DATABASE_SERVICES, DOORS
from native.programs import Program, ports_of

# A process is gone 25 s after it was told to stop (chassis.process); compose.yaml gives as much.
STOP_SECONDS = 30
# Whoever edits waits for the new process, not for the end of the old one's work.
WATCH_STOP_SECONDS = "1"


def command_of(layout: Layout, service: str, process: str) -> tuple[str, ...]:
    """Return the command that starts one process of a service with the variables of `.env`.

    The values are read when the process starts, so that no secret stands in supervisord's configuration.
    """
    directory = () if layout.home == layout.checkout else ("--directory", str(layout.home))
    return (sys.executable, "-m", "cluster", *directory, "exec", service, process)


def watching(layout: Layout, service: str, command: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command that runs `command` anew when a source of its own or a library's changes."""
    places = [layout.checkout / "libs", layout.checkout / "services" / service / "src"]
    options = ("--filter", "python", "--sigint-timeout", WATCH_STOP_SECONDS, "--target-type", "command")
    return (sys.executable, "-m", "watchfiles", *options, shlex.join(command), *map(str, places))


def programs(layout: Layout, values: Mapping[str, str], *, watch: bool = False) -> tuple[Program, ...]:
    """Return an API and a worker for each service with a database, and the gateway.

    With `watch` each follows its sources.
    """
    found = []
    for service in DATABASE_SERVICES:
        for process, variable in (("api", "PORT"), ("worker", "WORKER_PORT")):
            ports = ports_of(values, f"{service.upper()}_{variable}")
            found.append(_program(layout, (service, process), f"{service}-{process}", ports, watch=watch))
    for door in DOORS:
        ports = ports_of(values, f"{door.upper()}_PORT")
        found.append(_program(layout, (door, "api"), door, ports, watch=watch))
    return tuple(found)


def _program(
    layout: Layout, process: tuple[str, str], name: str, ports: Mapping[str, int], *, watch: bool
) -> Program:
    command = command_of(layout, *process)
    return Program(
        name=name,
        command=watching(layout, process[0], command) if watch else command,
        directory=layout.checkout,
        stop_seconds=STOP_SECONDS,
        ports=ports,
    )

"""Our own services as native processes."""

import sys
from collections.abc import Mapping

from cluster.layout import Layout
from cluster.members import DATABASE_SERVICES
from cluster.programs import MARKER, Program

# A worker finishes the message in hand, for 20 s at most, and then has to close its connections.
STOP_SECONDS = 25


def command_of(layout: Layout, service: str, process: str) -> tuple[str, ...]:
    """Return the command that starts one process of a service with the variables of `.env`.

    The values are read when the process starts, so that no secret stands in supervisord's configuration.
    """
    directory = () if layout.home == layout.checkout else ("--directory", str(layout.home))
    return (sys.executable, "-m", "cluster", *directory, "exec", service, process)


def programs(layout: Layout, values: Mapping[str, str]) -> tuple[Program, ...]:
    """Return an API and a worker for each service with a database, and the gateway."""
    found = []
    for service in DATABASE_SERVICES:
        for process, variable in (("api", "PORT"), ("worker", "WORKER_PORT")):
            name = f"{service.upper()}_{variable}"
            found.append(
                _program(layout, service, process, f"{service}-{process}", {name: int(values[name])})
            )
    found.append(_program(layout, "gateway", "api", "gateway", {"GATEWAY_PORT": int(values["GATEWAY_PORT"])}))
    return tuple(found)


def _program(layout: Layout, service: str, process: str, name: str, ports: Mapping[str, int]) -> Program:
    return Program(
        name=name,
        command=command_of(layout, service, process),
        directory=layout.checkout,
        environment={MARKER: str(layout.var)},
        stop_seconds=STOP_SECONDS,
        ports=ports,
    )

"""Turns this process into a process of one of our services."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from cluster import env_file
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.members import SERVICES
from native.environment import service_environment


def become(layout: Layout, service: str, command: list[str]) -> NoReturn:
    """Replace this process by `command`, with the variables that `.env` has for the service.

    Only a process that migrates gets the passwords of the owner roles.
    """
    if service not in SERVICES:
        raise ClusterError(f"There is no service {service}. There are: {', '.join(SERVICES)}.")
    if not command:
        raise ClusterError("Which command? For example: python -m cluster run identity env")
    values = env_file.load(layout.env_file)
    migrates = command[-1] == "migrate" or "alembic" in command[0]
    own = service_environment(values, service, migrates=migrates)
    path = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", os.defpath)])
    environment = os.environ | own | {"PATH": path}
    # Ten processes that compile our sources anew would double the time until they are ready.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    os.execvpe(command[0], command, environment)  # noqa: S606 - no shell is wanted

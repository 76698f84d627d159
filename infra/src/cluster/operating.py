"""Runs the commands of a service's operator where that service reaches its neighbours."""

import sys
from typing import NoReturn

from cluster import env_file, state
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.members import DATABASE_SERVICES
from cluster.progress import Progress


def become(layout: Layout, service: str, arguments: list[str]) -> NoReturn:
    """Replace this process by `python -m SERVICE …`: in the container of its worker, if it runs in one.

    A service without commands is a ClusterError.
    """
    if service not in DATABASE_SERVICES:
        raise ClusterError(f"There are no commands of {service!r}, but of: {', '.join(DATABASE_SERVICES)}.")
    if state.mode_that_is_up(layout) == "compose":
        from cluster.compose import ComposeCluster  # noqa: PLC0415 - each mode needs packages of its own

        cluster = ComposeCluster(layout, env_file.load(layout.env_file), Progress())
        cluster.become(f"{service}-worker", "python", "-m", service, *arguments)
    from native import launch  # noqa: PLC0415 - as above

    launch.become(layout, service, [sys.executable, "-m", service, *arguments])

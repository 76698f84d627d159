"""Starts the servers of a test session as containers, exactly as compose.yaml describes them."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cluster import compose_file
from cluster.checks import server_checks
from cluster.layout import Layout
from cluster.readiness import Check, until_ready
from support.isolation import in_new_loop, reaper, temporary_directory, values_on_free_ports
from support.running import RunningServers

START_SECONDS = 120
OPTIONS = (
    *("entrypoint", "hostname", "shm_size", "mem_limit", "pids_limit", "user"),
    *("read_only", "cap_drop", "cap_add", "security_opt"),
)
LABEL = "irisvue.test-session"


@contextlib.contextmanager
def container_servers() -> Iterator[RunningServers]:
    """Real servers in containers on free ports; gone at the end, with their data."""
    # Its cleaner is an image of its own, which may not be at hand; the reaper does the same.
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    directory = temporary_directory()
    with reaper(str(directory), (directory,), label=f"{LABEL}={directory}"):
        values = values_on_free_ports(directory)
        described = compose_file.services(Layout.of().checkout / "compose.yaml", values)
        checks = server_checks(values)
        with ThreadPoolExecutor(len(checks)) as threads:
            containers = list(threads.map(lambda name: _start(described[name], str(directory)), checks))
        try:
            in_new_loop(_all_ready(checks))
            yield RunningServers(values)
        finally:
            for container in containers:
                container.stop()


def _start(description: dict[str, Any], session: str) -> Any:
    """Create and start one container of compose.yaml, without its volumes."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - reads its settings when imported

    options: dict[str, Any] = {"labels": {LABEL: session}}
    for option in OPTIONS:
        if option in description:
            options[option] = description[option]
    container = DockerContainer(description["image"], **options)
    container.tmpfs = dict(f"{place}:".split(":")[:2] for place in description.get("tmpfs", []))
    container.env = {name: str(value) for name, value in description.get("environment", {}).items()}
    if "MANAGEMENT_NAME" in container.env:
        # Alone in the engine's own network, the broker has no name for it.
        container.env["MANAGEMENT_NAME"] = "0.0.0.0"
    if "command" in description:
        container.with_command(description["command"])
    for published in description["ports"]:
        host, outside, inside = published.split(":")
        # The library's own method has no way to name the address.
        container.ports[inside] = (host, int(outside))  # type: ignore[assignment]
    return container.start()


async def _all_ready(checks: dict[str, Check]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for name, check in checks.items():
            tasks.create_task(until_ready(name, check, seconds=START_SECONDS))

"""Installs what no wheel brings: RabbitMQ, and Redis where its wheel does not fit the machine."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import ClusterError
from cluster.progress import Progress
from native import rabbitmq, redis

# Debian asks this file whether a package may start its service; ours runs on its own ports and needs none.
POLICY = Path("/usr/sbin/policy-rc.d")


@dataclass(frozen=True)
class Tool:
    """Something to install, by the package's name in each package system."""

    title: str
    apt: str
    brew: str


def install_missing(progress: Progress) -> None:
    """Install missing servers, or raise a ClusterError that says which command the user should run."""
    missing = []
    if rabbitmq.find_server() is None or rabbitmq.find_epmd() is None:
        missing.append(Tool("RabbitMQ", "rabbitmq-server", "rabbitmq"))
    if redis.find_server() is None:
        missing.append(Tool("Redis", "redis-server", "redis"))
    if not missing:
        return
    install(missing, progress)
    if rabbitmq.find_server() is None or redis.find_server() is None:
        titles = " and ".join(tool.title for tool in missing)
        raise ClusterError(
            f"{titles} was installed but can't be found. "
            f"Looked at {', '.join(map(str, rabbitmq.SERVER_PLACES))}."
        )


def install(missing: list[Tool], progress: Progress) -> None:
    """Install packages of the system, or raise a ClusterError that says which command the user should run."""
    titles = " and ".join(tool.title for tool in missing)
    if sys.platform == "darwin" and shutil.which("brew"):
        progress.say(f"installing {titles} with brew (several minutes the first time)")
        _run(["brew", "install", *(tool.brew for tool in missing)])
    elif shutil.which("apt-get"):
        progress.say(f"installing {titles} with apt (about a minute)")
        _install_with_apt([tool.apt for tool in missing])
    else:
        raise ClusterError(
            f"{titles} can't be installed automatically on this system. Install it with the system's package "
            "manager, or start a Docker engine, and run `make up` again."
        )


def _install_with_apt(packages: list[str]) -> None:
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = f"sudo apt-get install --no-install-recommends {' '.join(packages)}"
    if prefix and not _sudo_works():
        raise ClusterError(
            f"{' and '.join(packages)} must be installed, which needs root. "
            f"Run\n  {command}\nand `make up` again, or start a Docker engine."
        )
    install = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "install", "-y"]
    install += ["--no-install-recommends", *packages]
    with _no_service_starts(prefix):
        if _attempt(install) is not None:
            # The package lists of a fresh machine are old or empty.
            _run([*prefix, "apt-get", "-q", "update"])
            _run(install)


@contextlib.contextmanager
def _no_service_starts(prefix: list[str]) -> Iterator[None]:
    """Keep apt from starting a broker on the system's default ports."""
    if POLICY.exists():
        yield
        return
    script = "#!/bin/sh\nexit 101\n"
    _run([*prefix, "tee", str(POLICY)], text=script)
    _run([*prefix, "chmod", "0755", str(POLICY)])
    try:
        yield
    finally:
        _run([*prefix, "rm", "-f", str(POLICY)])


def _sudo_works() -> bool:
    return shutil.which("sudo") is not None and _attempt(["sudo", "-n", "true"]) is None


def _run(command: list[str], text: str = "") -> None:
    failure = _attempt(command, text)
    if failure is not None:
        raise ClusterError(f"`{' '.join(command)}` failed:\n{failure}")


def _attempt(command: list[str], text: str = "") -> str | None:
    """None on success, else the end of the output."""
    result = subprocess.run(
        command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return None if result.returncode == 0 else "\n".join(result.stdout.strip().splitlines()[-10:])

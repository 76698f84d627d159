"""Finds out who holds a port."""

import errno
import socket
from collections.abc import Mapping
from pathlib import Path

from cluster.errors import ClusterError

LISTENING = "0A"


def refuse_taken(ports: Mapping[str, int], *, host_of: Mapping[str, str] | None = None) -> None:
    """Raise one ClusterError that lists every port that is taken, by whom, and the variable that moves it."""
    complaints = []
    for variable, port in ports.items():
        host = (host_of or {}).get(variable, "127.0.0.1")
        reason = _why_not(host, port)
        if reason:
            complaints.append(f"  port {port} ({variable}): {reason}")
    if complaints:
        raise ClusterError(
            "These ports can't be used:\n"
            + "\n".join(complaints)
            + "\nStop what uses them, or change the variables named above in .env, and run `make up` again."
        )


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether this user could listen there now."""
    return _why_not(host, port) is None


def _why_not(host: str, port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            return "only root may listen on ports below 1024"
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return str(error)
            return f"taken by {holder_of(port) or 'a process that this user may not see'}"
    return None


def holder_of(port: int) -> str | None:
    """Name and pid of the process that listens on `port`, where the system shows it."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        if _open_sockets(process) & inodes:
            return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == LISTENING and int(columns[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(columns[9])
    return inodes


def _open_sockets(process: Path) -> set[str]:
    try:
        entries = list((process / "fd").iterdir())
    except (PermissionError, FileNotFoundError, ProcessLookupError):
        # The process belongs to somebody else or is gone.
        return set()
    links = {_target(entry) for entry in entries}
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:
        # Closed since it was listed, as the descriptor that listed it is.
        return ""

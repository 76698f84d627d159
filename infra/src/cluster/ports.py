"""Finds out who holds a port."""

import errno
import socket
from collections.abc import Mapping

from cluster.errors import ClusterError


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
    import psutil  # noqa: PLC0415 - rarely needed, and the image of the bootstrap job lacks it

    try:
        listening = (it for it in psutil.net_connections("tcp") if it.status == psutil.CONN_LISTEN)
        pid = next((it.pid for it in listening if it.laddr.port == port and it.pid), None)
        return f"{psutil.Process(pid).name()} (pid {pid})" if pid else None
    except psutil.Error:
        # macOS shows sockets to root only; the process may also have gone since.
        return None

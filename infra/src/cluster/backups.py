"""Backups of every schema, and their restore; photos stay in the bucket, of which there is a list.

The keyring lies apart, because its backups are kept for days only: what an older backup still knows of a
photo can't be read any more. The erasure journal is in no backup; services replay it after a restore.
"""

import asyncio
import io
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from cluster.archives import (
    SEALED,
    STAMP,
    UNFINISHED,
    Archive,
    Sealer,
    backups_in,
    opened,
    prune,
    verified,
    write_manifest,
)
from cluster.bootstrap.postgres import BACKUP_ROLE, Schema, schemas
from cluster.environment import ADMIN, DATABASE, KEYRING_DATABASE, published
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.object_lists import listed
from cluster.progress import Progress

KEYRING = KEYRING_DATABASE
DAYS, LONGEST_DAYS = 30, 365
KEYRING_DAYS, LONGEST_KEYRING_DAYS = 7, 7
"""A longer memory of keys would keep photos readable that were erased (docs/security.md)."""
OBJECTS = "objects"
REPLACED = "_replaced"


@dataclass(frozen=True)
class BackupSettings:
    """Where backups lie, for whom they are sealed, and for how many days they are kept."""

    directory: Path
    recipient: str
    days: int
    keyring_days: int

    @classmethod
    def of(cls, layout: Layout, values: Mapping[str, str]) -> "BackupSettings":
        """Read them from `.env`; what makes no sense is a ClusterError.

        The days are those that identity's certificates promise.
        """
        days = _days(values, "IDENTITY_BACKUP_DAYS", default=DAYS, most=LONGEST_DAYS)
        keyring_days = _days(
            values, "IDENTITY_KEYRING_BACKUP_DAYS", default=KEYRING_DAYS, most=LONGEST_KEYRING_DAYS
        )
        place = values["BACKUP_DIRECTORY"]
        directory = Path(place).expanduser() if place else layout.var / "backups"
        return cls(directory, values["BACKUP_RECIPIENT"], days, keyring_days)


def _days(values: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    value = values.get(name) or str(default)
    if not (value.isdigit() and 0 < int(value) <= most):
        raise ClusterError(f"{name} is a number of days from 1 to {most}.")
    return int(value)


class Backups:
    """Makes backups of one running cluster and restores them.

    `programs` has pg_dump and pg_restore; `postgres` and `s3` are `host:port`, this machine's when empty.
    """

    def __init__(
        self,
        layout: Layout,
        values: Mapping[str, str],
        progress: Progress,
        *,
        programs: Path,
        postgres: str = "",
        s3: str = "",
    ) -> None:
        self._values = values
        self._progress = progress
        self._programs = programs
        self._postgres = postgres or published(values).postgres
        self._s3 = s3 or published(values).s3
        self._settings = BackupSettings.of(layout, values)

    @property
    def possible(self) -> bool:
        """Whether there is somebody for whom a backup can be sealed."""
        return bool(self._settings.recipient)

    def newest(self) -> datetime | None:
        """Return when the newest backup was made that has its keyring."""
        directory = self._settings.directory
        keyrings = {made_at for _, made_at in backups_in(directory / KEYRING)}
        return max((at for _, at in backups_in(directory) if at in keyrings), default=None)

    def make(self, now: datetime | None = None) -> Path:
        """Back everything up, delete what is too old, and return the directory of the new backup."""
        if not self._settings.recipient:
            raise ClusterError(
                "BACKUP_RECIPIENT in .env is empty: nobody could open a backup. "
                "`make backup-key FILE=…` makes a key."
            )
        now = now or datetime.now(UTC)
        sealer = Sealer(self._settings.recipient)
        made = self._made(sealer, self._settings.directory, now, self._of(apart=False), objects=True)
        self._made(sealer, self._settings.directory / KEYRING, now, self._of(apart=True), objects=False)
        self.prune(now)
        return made

    def prune(self, now: datetime) -> None:
        """Delete the backups that are too old, and what is left of those that were never finished."""
        for directory, days in (
            (self._settings.directory, self._settings.days),
            (self._settings.directory / KEYRING, self._settings.keyring_days),
        ):
            for place in prune(directory, now=now, days=days):
                self._progress.say(f"deleted {place}, which is older than {days} days or was never finished")

    def restore(self, directory: Path, identity: str) -> None:
        """Put every schema of a backup in the place of the one there is; all of them, or none.

        Every archive is checked and opened first. Where the keyring's backup of that time is gone, the
        keyring stays as it is. The cluster's services must be stopped.
        """
        apart = directory.parent / KEYRING / directory.name
        archives = verified(directory) | (verified(apart) if apart.is_dir() else {})
        planned = [schema for schema in schemas() if schema.name in archives]
        missing = {schema.name for schema in schemas()} - {schema.name for schema in planned} - {KEYRING}
        if missing:
            raise ClusterError(f"{directory} lacks {', '.join(sorted(missing))}. Nothing was restored.")
        for place in archives.values():
            with Path(os.devnull).open("wb") as nowhere:
                opened(place, identity, nowhere)
        if KEYRING not in archives:
            self._progress.say("the keyring's backup of that time is gone: the keyring stays as it is")
        asyncio.run(self._renamed(planned, away=True))
        try:
            for schema in planned:
                self._restore(schema, archives[schema.name], identity)
                self._progress.say(f"{schema.name} is restored")
        except ClusterError:
            asyncio.run(self._renamed(planned, away=False))
            raise
        asyncio.run(self._dropped(planned))

    @staticmethod
    def _of(*, apart: bool) -> list[Schema]:
        return [schema for schema in schemas() if (schema.database != DATABASE) is apart]

    def _made(
        self, sealer: Sealer, directory: Path, now: datetime, which: Sequence[Schema], *, objects: bool
    ) -> Path:
        place = directory / now.strftime(STAMP)
        if place.exists():
            raise ClusterError(f"{place} exists: there is one backup a second at most.")
        # A backup has its name only when it is whole.
        draft = place.with_name(f"{UNFINISHED}{place.name}")
        draft.mkdir(parents=True, mode=0o700)
        with ExitStack() as unfinished:
            unfinished.callback(shutil.rmtree, draft)
            made = self._archives(sealer, draft, which, objects=objects)
            write_manifest(draft, now, made)
            draft.rename(place)
            unfinished.pop_all()
        self._progress.say(f"{', '.join(made)}: {place}")
        return place

    def _archives(
        self, sealer: Sealer, draft: Path, which: Sequence[Schema], *, objects: bool
    ) -> dict[str, Archive]:
        made = {schema.name: self._dump(schema, sealer, draft) for schema in which}
        if objects:
            lines = io.BytesIO(asyncio.run(listed(self._values, self._s3)))
            made[OBJECTS] = sealer.seal(lines, draft / f"{OBJECTS}.jsonl{SEALED}")
        return made

    def _dump(self, schema: Schema, sealer: Sealer, directory: Path) -> Archive:
        command = [*self._program("pg_dump", schema.database, BACKUP_ROLE), "--format=custom"]
        command += [f"--schema={schema.name}", "--lock-wait-timeout=60s"]
        environment = self._environment(self._values["BACKUP_PASSWORD"])
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
            archive = sealer.seal(process.stdout, directory / f"{schema.name}.dump{SEALED}")
            said = process.stderr.read().decode(errors="replace")
        if process.returncode != 0:
            raise ClusterError(f"pg_dump of {schema.name} failed:\n{said.strip()}")
        return archive

    def _restore(self, schema: Schema, place: Path, identity: str) -> None:
        command = self._program("pg_restore", schema.database, ADMIN)
        command += ["--exit-on-error", "--single-transaction"]
        environment = self._environment(self._values["POSTGRES_ADMIN_PASSWORD"])
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None and process.stderr is not None  # noqa: S101, PT018
            try:
                opened(place, identity, process.stdin)
            except BrokenPipeError:
                # It has ended already, and says below why.
                self._progress.say(f"pg_restore of {schema.name} stopped reading")
            process.stdin.close()
            said = process.stderr.read().decode(errors="replace")
        if process.returncode != 0:
            raise ClusterError(f"pg_restore of {schema.name} failed; all is as before:\n{said.strip()}")

    def _program(self, name: str, database: str, role: str) -> list[str]:
        host, _, port = self._postgres.partition(":")
        # pg_restore only writes into a database that is named as --dbname.
        return [
            str(self._programs / name),
            f"--host={host}",
            f"--port={port}",
            f"--username={role}",
            f"--dbname={database}",
        ]

    @staticmethod
    def _environment(password: str) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", ""), "PGPASSWORD": password, "PGCONNECT_TIMEOUT": "10"}

    async def _execute(self, schema: Schema, *statements: str) -> None:
        host, _, port = self._postgres.partition(":")
        connection = await asyncpg.connect(
            host=host,
            port=int(port),
            user=ADMIN,
            password=self._values["POSTGRES_ADMIN_PASSWORD"],
            database=schema.database,
            timeout=10,
        )
        try:
            async with connection.transaction():
                for statement in statements:
                    await connection.execute(statement)
        finally:
            await connection.close()

    async def _renamed(self, planned: Sequence[Schema], *, away: bool) -> None:
        """Put the schemas aside, or take back what is there in their place."""
        for schema in planned:
            name, aside = schema.name, f"{schema.name}{REPLACED}"
            if away:
                await self._execute(
                    schema, f"DROP SCHEMA IF EXISTS {aside} CASCADE", f"ALTER SCHEMA {name} RENAME TO {aside}"
                )
            else:
                await self._execute(
                    schema, f"DROP SCHEMA IF EXISTS {name} CASCADE", f"ALTER SCHEMA {aside} RENAME TO {name}"
                )

    async def _dropped(self, planned: Sequence[Schema]) -> None:
        for schema in planned:
            await self._execute(schema, f"DROP SCHEMA {schema.name}{REPLACED} CASCADE")

"""Backups that nobody has to think of: one as soon as the newest is old enough, again and again.

When the last one was made is read from the directory itself, so a restart neither skips nor repeats one.
"""

import signal
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cluster.backups import Backups
from cluster.errors import ClusterError
from cluster.progress import Progress

HOURS, MOST_HOURS = 24, 168
LOOK_SECONDS = 30.0
AFTER_A_FAILURE = timedelta(minutes=5)
FRESH_UNTIL = Path("/tmp/fresh-until")  # noqa: S108 - in a container of its own, and no secret
FIRST_BACKUP = timedelta(minutes=15)
"""How long a cluster that was just started counts as backed up, although nothing may be there yet."""


def hours_of(values: Mapping[str, str]) -> int:
    """Return the hours between backups; what is no number from 1 to 168 is a ClusterError."""
    value = values.get("BACKUP_HOURS") or str(HOURS)
    if not (value.isdigit() and 0 < int(value) <= MOST_HOURS):
        raise ClusterError(f"BACKUP_HOURS is a number of hours from 1 to {MOST_HOURS}.")
    return int(value)


class BackupSchedule:
    """Decides when to back up; `fresh_until` tells the container's health check, in seconds since 1970."""

    def __init__(
        self,
        backups: Backups,
        progress: Progress,
        *,
        hours: int,
        fresh_until: Path = FRESH_UNTIL,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._backups = backups
        self._progress = progress
        self._every = timedelta(hours=hours)
        self._fresh_until = fresh_until
        self._now = now
        self._began = now()
        self._not_before = self._began

    def run(self) -> None:
        """Look until the process is told to stop; a backup that is being made is finished first."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        if not self._backups.possible:
            self._progress.say("BACKUP_RECIPIENT is empty: nothing is backed up")
        while not stop.is_set():
            self.look()
            stop.wait(LOOK_SECONDS)

    def look(self) -> None:
        """Delete what is too old and make a backup when one is due; a failure is said and tried again."""
        now = self._now()
        # Old keys have to go even while no new backup succeeds: certificates of erasure promise it.
        self._backups.prune(now)
        newest = self._backups.newest()
        due = newest is None or now - newest >= self._every
        if self._backups.possible and due and now >= self._not_before:
            newest = self._made(now) or newest
        self._tell(newest)

    def _made(self, now: datetime) -> datetime | None:
        began = time.monotonic()
        try:
            self._backups.make(now)
        except (ClusterError, OSError) as error:
            self._not_before = now + AFTER_A_FAILURE
            self._progress.say(f"no backup was made, the next try is in five minutes: {error}")
            return None
        self._progress.say(f"a backup was made in {time.monotonic() - began:.1f} s")
        return now

    def _tell(self, newest: datetime | None) -> None:
        until = self._began + FIRST_BACKUP
        if newest is not None:
            until = max(until, newest + 2 * self._every)
        if not self._backups.possible:
            until = self._now() + self._every
        draft = self._fresh_until.with_suffix(".new")
        draft.write_text(f"{until.timestamp():.0f}\n")
        draft.replace(self._fresh_until)

"""Which account runs a server that refuses root, and where that account can read."""

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cluster.errors import ClusterError

UNPRIVILEGED = "nobody"
ALTERNATIVES = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - a fixed, root-owned directory is made inside


def unprivileged_account() -> str | None:
    """Return the account for servers that refuse root; None when we are not root and need none."""
    return UNPRIVILEGED if os.geteuid() == 0 else None


def can_execute(path: Path, account: str | None) -> bool:
    """Whether `account` reaches `path` through every directory above it."""
    if account is None:
        return os.access(path, os.X_OK)
    probe = subprocess.run(
        ["test", "-x", str(path)], user=account, group=group_of(account), extra_groups=[], check=False
    )
    return probe.returncode == 0


def give_to(path: Path, account: str | None) -> None:
    """Make `account` the owner of a directory that only it may read."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    if account is not None:
        shutil.chown(path, account, group_of(account))


def reachable_directory(wanted: Path, account: str | None, tag: str) -> Path:
    """`wanted` when `account` can get there, else a directory of this cluster under /var."""
    wanted.mkdir(parents=True, exist_ok=True)
    if can_execute(wanted, account):
        return wanted
    for root in ALTERNATIVES:
        place = root / f"irisvue-{tag}"
        if not root.is_dir() or place.is_symlink():
            continue
        place.mkdir(mode=0o711, exist_ok=True)
        if place.stat().st_uid == os.geteuid() and can_execute(place, account):
            return place
    raise ClusterError(
        f"PostgreSQL refuses to run as root, and the account {account} can't reach {wanted}. "
        "Set IRISVUE_VAR to a directory that every user can enter, or run as another user than root."
    )


def run_as(command: list[str], account: str | None, directory: Path, environment: Mapping[str, str]) -> None:
    """Run to the end with these variables added; a failure is a ClusterError with the last lines."""
    group = group_of(account) if account else None
    result = subprocess.run(
        command,
        user=account,
        group=group,
        extra_groups=[] if account else None,
        cwd=directory,
        env=os.environ | dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        last = "\n".join((result.stdout + result.stderr).strip().splitlines()[-10:])
        raise ClusterError(f"{Path(command[0]).name} failed:\n{last}")


def group_of(account: str) -> str:
    """Return the name of an account's own group."""
    return grp.getgrgid(pwd.getpwnam(account).pw_gid).gr_name

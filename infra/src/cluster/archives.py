"""Archives of a backup: sealed with age for an operator's public key, and a manifest that says what they are.

Nothing is written in the clear. The manifest holds the SHA-256 of every sealed archive, so that a changed
byte is found without the private key, before anything is restored.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from cluster import env_file
from cluster.errors import ClusterError

MANIFEST = "manifest.json"
STAMP = "%Y%m%dT%H%M%SZ"
SEALED = ".age"
UNFINISHED = "."
"""How the name of a backup begins that is not whole yet."""
UNFINISHED_DAYS = 1
CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Archive:
    """One sealed file: its name, SHA-256 in hex digits, and length in bytes."""

    file: str
    sha256: str
    size: int


class Sealer:
    """Seals for one recipient, an age public key (`age1…`)."""

    def __init__(self, recipient: str) -> None:
        # Every other command does without the library.
        import pyrage  # noqa: PLC0415

        try:
            self._recipient = pyrage.x25519.Recipient.from_str(recipient)
        except pyrage.RecipientError as error:
            raise ClusterError(
                "BACKUP_RECIPIENT is no age public key; `make backup-key` makes one."
            ) from error
        self._library = pyrage

    def seal(self, plain: IO[bytes], place: Path) -> Archive:
        """Seal a stream into a file that only this user can read."""
        place.touch(mode=0o600)
        with place.open("wb") as sealed:
            self._library.encrypt_io(plain, sealed, [self._recipient])
        return described(place)


def opened(place: Path, identity: str, target: IO[bytes]) -> None:
    """Open a sealed file with a private key (`AGE-SECRET-KEY-…`); a wrong key is a ClusterError."""
    import pyrage  # noqa: PLC0415 - as above

    try:
        key = pyrage.x25519.Identity.from_str(identity)
        with place.open("rb") as sealed:
            pyrage.decrypt_io(sealed, target, [key])
    except (pyrage.IdentityError, pyrage.DecryptError) as error:
        raise ClusterError(f"{place} can't be opened with this key.") from error


def new_identity() -> tuple[str, str]:
    """Make a key pair: the private key and the public one, as age writes them."""
    import pyrage  # noqa: PLC0415 - as above

    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def write_identity(file: Path, env: Path) -> None:
    """Make a key pair: the private half into a new file, the public one into `.env`."""
    if file.exists():
        raise ClusterError(f"{file} exists; a key is never written over.")
    secret, public = new_identity()
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
        written.write(f"{secret}\n")
    env_file.replace(env, {"BACKUP_RECIPIENT": public})


def identity_in(file: Path) -> str:
    """Return the private key in a file, as age-keygen writes it; none is a ClusterError."""
    try:
        lines = [line.strip() for line in file.read_text().splitlines()]
    except OSError as error:
        raise ClusterError(f"{file} can't be read.") from error
    for line in lines:
        if line.startswith("AGE-SECRET-KEY-"):
            return line
    raise ClusterError(f"{file} holds no private key of age.")


def described(place: Path) -> Archive:
    """Return what a manifest says about a file."""
    digest = hashlib.sha256()
    with place.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return Archive(place.name, digest.hexdigest(), place.stat().st_size)


def write_manifest(directory: Path, made_at: datetime, archives: Mapping[str, Archive]) -> None:
    """Say what a backup consists of; without a manifest it is none."""
    said = {
        "format": 1,
        "made_at": made_at.isoformat(),
        "archives": {name: asdict(archive) for name, archive in archives.items()},
    }
    (directory / MANIFEST).write_text(json.dumps(said, indent=2) + "\n")


def verified(directory: Path) -> dict[str, Path]:
    """Return the archives of a backup by name; anything changed, missing or added is a ClusterError."""
    try:
        said = json.loads((directory / MANIFEST).read_text())["archives"]
        archives = {name: Archive(**one) for name, one in said.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"{directory} is no backup: its manifest can't be read.") from error
    found = {file.name for file in directory.iterdir()} - {MANIFEST}
    if found != {archive.file for archive in archives.values()}:
        raise ClusterError(f"{directory} does not have the archives of its manifest. Nothing was restored.")
    for archive in archives.values():
        if described(directory / archive.file) != archive:
            raise ClusterError(f"{directory / archive.file} was changed. Nothing was restored.")
    return {name: directory / archive.file for name, archive in archives.items()}


def prune(directory: Path, *, now: datetime, days: int) -> list[Path]:
    """Delete the backups in a directory that are older than so many days; return which.

    What a process that was killed has left of one is no backup, and goes after a day.
    """
    gone = [place for place, made_at in backups_in(directory) if now - made_at > timedelta(days=days)]
    gone += [
        place
        for place, began_at in backups_in(directory, unfinished=True)
        if now - began_at > timedelta(days=UNFINISHED_DAYS)
    ]
    for place in gone:
        shutil.rmtree(place)
    return gone


def backups_in(directory: Path, *, unfinished: bool = False) -> Iterator[tuple[Path, datetime]]:
    """Yield the backups of a directory and when each was made, the oldest first; or those never finished."""
    form = f"{UNFINISHED}{STAMP}" if unfinished else STAMP
    for place in sorted(directory.iterdir()) if directory.is_dir() else ():
        try:
            yield place, datetime.strptime(place.name, form).replace(tzinfo=UTC)
        except ValueError:
            # Whatever else lies there is not ours.
            continue

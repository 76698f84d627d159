"""Gets the archives with the ordinary clients: pip, and apt-get with source packages switched on."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from cluster.errors import ClusterError
from corpus.packages import PACKAGES, Package, Source

_APT: Final = Path("/etc/apt")
_FETCH_SECONDS: Final = 600


def fetch(directory: Path) -> tuple[dict[Package, Path], list[str]]:
    """Return the archives by package, and a sentence for each that could not be had.

    Raises `ClusterError` for an archive that is not the pinned one.
    """
    downloads = directory / "packages"
    downloads.mkdir(parents=True, exist_ok=True)
    if any(not (downloads / one.archive).exists() for one in PACKAGES if one.source is Source.DEBIAN):
        _list_debian_sources(directory / "apt")
    archives: dict[Package, Path] = {}
    missing: list[str] = []
    for package in PACKAGES:
        archive = downloads / package.archive
        if not archive.exists():
            why = _download(package, downloads, directory / "apt")
            if not archive.exists():
                missing.append(f"{package.source} has no {package.name} {package.version} here: {why}")
                continue
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != package.sha256:
            raise ClusterError(f"{archive} has the digest {found}, not the pinned one; delete it.")
        archives[package] = archive
    return archives, missing


def _download(package: Package, downloads: Path, apt: Path) -> str:
    """Fetch one package; return the last words of its client."""
    if package.source is Source.PYPI:
        name = f"{package.name}=={package.version}"
        words = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            name,
        ]
        return _run(words, downloads, {})
    if not _has_apt():
        return "there is no apt-get"
    wanted = f"{package.name}={package.version}"
    # The archives are looked at as they are: neither unpacked nor built.
    words = ["apt-get", "source", "--quiet", "--download-only", wanted]
    return _run(words, downloads, {"APT_CONFIG": str(apt / "apt.conf")})


def _list_debian_sources(apt: Path) -> None:
    """Read the lists of source packages into a folder of our own; the machine's own stay as they are."""
    if not _has_apt():
        return
    shutil.rmtree(apt, ignore_errors=True)
    (apt / "lists/partial").mkdir(parents=True)
    (apt / "cache/archives/partial").mkdir(parents=True)
    (apt / "sources").mkdir()
    for file in sorted((_APT / "sources.list.d").glob("*.sources")):
        text = re.sub(r"(?m)^Types:.*$", "Types: deb-src", file.read_text())
        (apt / "sources" / file.name).write_text(text)
    lists = [_APT / "sources.list", *sorted((_APT / "sources.list.d").glob("*.list"))]
    for file in filter(Path.exists, lists):
        text = re.sub(r"(?m)^deb(?=\s)", "deb-src", file.read_text())
        (apt / "sources" / f"{file.stem}-binary.list").write_text(text)
    settings = {
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": apt / "sources",
    }
    (apt / "apt.conf").write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    _run(["apt-get", "update", "--quiet"], apt, {"APT_CONFIG": str(apt / "apt.conf")})


def _has_apt() -> bool:
    return shutil.which("apt-get") is not None


def _run(words: list[str], directory: Path, variables: dict[str, str]) -> str:
    done = subprocess.run(  # noqa: S603  The words are those of this file.
        words,
        cwd=directory,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=_FETCH_SECONDS,
        check=False,
    )
    said = (done.stderr or done.stdout).strip().splitlines()
    return said[-1] if said else "its client says nothing"

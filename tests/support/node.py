"""Programs of Node.js for tests: packages of npm, pinned by their lock, in the checkout's own folder."""

import asyncio
import filecmp
import os
import shutil
import subprocess
from pathlib import Path

from cluster.errors import ClusterError

ROOT = Path(__file__).resolve().parents[2]
INSTALL_SECONDS = 300
_PACKAGES = ("nodejs", "npm")
_FILES = ("package.json", "package-lock.json", ".npmrc")


def installed(name: str) -> Path:
    """Return the folder in which the packages of `infra/<name>` are installed, now if they were not.

    Raises `ClusterError` when there is no Node.js and this process may not install it.
    """
    _install_node()
    source, target = ROOT / "infra" / name, ROOT / "var" / "tools" / name
    lock = target / "package-lock.json"
    if not lock.exists() or not filecmp.cmp(source / lock.name, lock, shallow=False):
        target.mkdir(parents=True, exist_ok=True)
        for file in _FILES:
            shutil.copyfile(source / file, target / file)
        try:
            _run("npm", "ci", "--ignore-scripts", "--no-progress", "--silent", cwd=target)
        except ClusterError:
            lock.unlink()
            raise
    return target


async def run_node(script: Path, *arguments: str) -> asyncio.subprocess.Process:
    """Start a program of Node.js whose output the caller reads."""
    return await asyncio.create_subprocess_exec(
        "node", str(script), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


def _install_node() -> None:
    if all(shutil.which(program) for program in ("node", "npm")):
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise ClusterError("Node.js is missing: install Node.js 20 or newer with npm")
    _run("apt-get", "-q", "update")
    _run("apt-get", "-q", "install", "-y", "--no-install-recommends", *_PACKAGES)


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    if done.returncode != 0:
        raise ClusterError(f"`{' '.join(command)}` failed:\n{done.stderr or done.stdout}")

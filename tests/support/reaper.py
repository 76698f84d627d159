"""Ends what a test session started, also when the session is killed.

Runs beside the session as `python -m support.reaper MARK LABEL DIRECTORY…` and waits for the end of its
standard input, which the operating system closes when the session is gone, whatever ended it.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

from native import leftovers

ATTEMPTS = 50
PAUSE_SECONDS = 0.1


def main() -> None:
    """Wait for the end of the session, then end its processes and containers and delete its directories."""
    mark, label, *directories = sys.argv[1:]
    sys.stdin.read()
    leftovers.end(mark, grace=0)
    if label:
        remove_containers(label)
    for directory in map(Path, directories):
        remove(directory)


def remove(directory: Path) -> None:
    """Delete a directory in which the children of a killed server may still be writing for a moment."""
    for _ in range(ATTEMPTS):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(PAUSE_SECONDS)
    sys.exit(f"{directory} could not be deleted")


def remove_containers(label: str) -> None:
    """Remove every container, volume and network that carries `label`."""
    for kind, options in (("container", ["--force", "--volumes"]), ("volume", ["--force"]), ("network", [])):
        every = ["--all"] if kind == "container" else []
        listed = subprocess.run(
            ["docker", kind, "ls", *every, "--quiet", "--filter", f"label={label}"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
        if listed:
            subprocess.run(["docker", kind, "rm", *options, *listed], stdout=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    main()

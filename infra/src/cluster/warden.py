"""Ends what a test session started, also when the session is killed.

Runs beside the session as `python -m cluster.warden MARK DIRECTORY…` and waits for the end of its
standard input, which the operating system closes when the session is gone, whatever ended it.
"""

import shutil
import sys
from pathlib import Path

from cluster import leftovers


def main() -> None:
    """Wait for the end of the session, then kill its processes and delete its directories."""
    mark, *directories = sys.argv[1:]
    sys.stdin.read()
    leftovers.end(mark, grace=0)
    for directory in map(Path, directories):
        if directory.exists():
            shutil.rmtree(directory)


if __name__ == "__main__":
    main()

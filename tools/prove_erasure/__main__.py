"""`make prove-erasure`, or `python -m prove_erasure [--directory DIR] [--every SECONDS]`.

Ends with 0 when nothing is left, with 1 when something is or the search missed a planted canary, and with 2
when the cluster could not be asked. With `--every` it goes on until a run does not end with 0: what starts it
is told by its end.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from cluster import env_file, state
from cluster.errors import ClusterError
from cluster.layout import Layout
from prove_erasure.person import Broken
from prove_erasure.proof import Proof

LEFT, UNASKED = 1, 2


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m prove_erasure", description=__doc__)
    parser.add_argument("--directory", type=Path, help="a separate cluster that lives in this directory")
    parser.add_argument("--every", type=float, metavar="SECONDS", help="prove it again, so often")
    options = parser.parse_args()
    layout = Layout.of(options.directory)
    while True:
        began = time.monotonic()
        status = _prove_once(layout)
        if status or options.every is None:
            return status
        time.sleep(max(0.0, options.every - (time.monotonic() - began)))


def _prove_once(layout: Layout) -> int:
    try:
        values, mode = _running(layout)
        return 0 if asyncio.run(Proof(layout, values, mode).run()) else LEFT
    except Broken as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return LEFT
    except (ClusterError, aiohttp.ClientError, OSError) as error:
        print(f"\nerror: the cluster could not be asked: {error}", file=sys.stderr)
        return UNASKED


def _running(layout: Layout) -> tuple[Mapping[str, str], str]:
    mode = state.mode_that_is_up(layout)
    if mode is None or not layout.env_file.exists():
        raise ClusterError("no cluster runs here. Run `make up` first.")
    return env_file.load(layout.env_file), mode


if __name__ == "__main__":
    sys.exit(main())

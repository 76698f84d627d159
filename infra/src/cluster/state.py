"""Remembers which mode is up, so that down, status and logs act on it."""

import contextlib
import fcntl
import json
from collections.abc import Iterator

from cluster.errors import ClusterError
from cluster.layout import Layout


def mode_that_is_up(layout: Layout) -> str | None:
    """Return `native`, `compose` or None; a half-written file counts as nothing."""
    try:
        mode = json.loads(layout.state_file.read_text())["mode"]
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return mode if mode in {"native", "compose"} else None


def remember(layout: Layout, mode: str) -> None:
    """Write down the mode before anything is started, so that a crash leaves a trace."""
    layout.state_file.write_text(json.dumps({"mode": mode}))


def forget(layout: Layout) -> None:
    """Nothing is up any more."""
    layout.state_file.unlink(missing_ok=True)


@contextlib.contextmanager
def only_one(layout: Layout) -> Iterator[None]:
    """Refuse to start or stop a cluster that another terminal is starting or stopping."""
    layout.var.mkdir(parents=True, exist_ok=True)
    with (layout.var / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterError(
                "Another command is starting or stopping this cluster. Wait until it is done."
            ) from None
        yield

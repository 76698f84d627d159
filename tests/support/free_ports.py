"""Free ports for clusters that live beside others."""

import contextlib
import fcntl
import os
import random
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cluster.ports import is_free

# Below the ports that systems hand out for outgoing connections, and so that SeaweedFS's second port
# (ten thousand above the first) stays there as well; beside the ports of a cluster's defaults.
POOL = (*range(11000, 18000), *range(19000, 22700))
RESERVATIONS = "irisvue-ports"
SECOND = 10000


def pick_free(names: Iterable[str]) -> dict[str, int]:
    """Pick a different free port for each name, for clusters that live beside others.

    They are this process's until it ends: no other is given them, though nobody listens there yet.
    """
    wanted = list(names)
    candidates = random.SystemRandom().sample(POOL, len(POOL))
    free = (
        port
        for port in candidates
        if is_free(port) and is_free(port + SECOND) and _reserve(port) and _reserve(port + SECOND)
    )
    return dict(zip(wanted, free, strict=False))


def free_port() -> int:
    """Pick one free port, for a process that is told where to listen."""
    return pick_free(["port"])["port"]


def _reserve(port: int) -> bool:
    """Whether nobody else has this port for later; the lock ends with this process, however it ends."""
    place = Path(tempfile.gettempdir()) / RESERVATIONS
    with contextlib.suppress(FileExistsError):
        place.mkdir()
        place.chmod(0o1777)
    descriptor = os.open(place / str(port), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True

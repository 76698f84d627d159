"""Several gateways on one port: a parent starts them, starts anew whichever ends, and ends them together.

Each is a whole process as `chassis.process` runs it: a part of it that ends, ends it. The parent holds the
listening socket, so that connections that wait for one that ended are taken by the others. It runs no loop
and opens nothing that its children, which are forks of it, could inherit half used.
"""

import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence

import structlog

from chassis.process import STOP_SECONDS
from gateway.siblings import Pipes

LIVES_SECONDS = 5.0
"""A process that ends sooner would end again: then all end, and whoever started them decides."""
LAST_SECONDS = 1
_BACKLOG = 2048
_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGALRM)

log = structlog.get_logger(__name__)

RunOne = Callable[[socket.socket, Pipes], None]


def run_processes(count: int, run: RunOne, *, host: str, port: int) -> None:
    """Run `count` processes until SIGTERM or SIGINT; exits with 1 when one of them failed to live or to end.

    Who asks them to stop waits as long as for one: all stop side by side.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=_BACKLOG) as listening:
        # From here on signals wait until they are asked for, also for threads that begin later.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        well = _Parent(count, run, listening).run()
    if not well:
        raise SystemExit(1)


class _Parent:
    def __init__(self, count: int, run: RunOne, listening: socket.socket) -> None:
        self._run = run
        self._listening = listening
        self._news = [_news() for _ in range(count)]
        # Nobody writes: children see the end of it when the last who could is gone, which is the parent.
        self._life, self._alive = os.pipe()
        self._places: dict[int, tuple[int, float]] = {}
        self._stopping = False
        self._failed = False

    def run(self) -> bool:
        """Return when all have ended; False when something went wrong."""
        # What is the same in all of them stays shared memory.
        gc.freeze()
        for place in range(len(self._news)):
            self._start(place)
        while self._places:
            match signal.sigwait(_HEARD):
                case signal.SIGCHLD:
                    self._reap()
                case signal.SIGALRM:
                    self._failed = True
                    self._signal(signal.SIGKILL)
                case _:
                    self._stop()
        return not self._failed

    def _start(self, place: int) -> None:
        child = os.fork()
        if child:
            self._places[child] = place, time.monotonic()
            return
        os.close(self._alive)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        others = [write for number, (_, write) in enumerate(self._news) if number != place]
        self._run(self._listening, Pipes(self._life, self._news[place][0], others))
        raise SystemExit

    def _reap(self) -> None:
        while self._places:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: int, code: int) -> None:
        place, since = self._places.pop(child)
        if self._stopping:
            self._failed |= code != 0
            return
        log.error("process_ended", place=place, code=code)
        if time.monotonic() - since < LIVES_SECONDS:
            self._failed = True
            self._stop()
        else:
            self._start(place)

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            signal.alarm(int(STOP_SECONDS) + LAST_SECONDS)
            self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        for child in self._places:
            os.kill(child, number)


def _news() -> Sequence[int]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    return read, write

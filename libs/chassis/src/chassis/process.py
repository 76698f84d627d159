"""One process: its parts run side by side under one supervisor, and end together, in one order.

Any part that ends takes the process down, and whoever started it starts a fresh one: half a process that
looks alive would be worse than none. A stop has one budget: not ready, a grace for load balancers, nothing
new, what runs is finished or given back, everything is closed.
"""

import asyncio
import faulthandler
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any

import structlog

from chassis.problems import describe

DRAIN_SECONDS = 20.0
"""What runs when a stop is asked for has until then, the grace included."""
STOP_SECONDS = 25.0
"""By then the process is gone, whatever holds it. Whoever stops processes waits for 30 s before it kills."""
LAST_SECONDS = 2.0
CUT_SECONDS = 1.0

Run = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Part:
    """Something that runs as long as its process.

    `finish` takes nothing new and returns when what is under way has ended; then `run` is cancelled, which
    is all that most parts need. Parts that outlast the others serve what these still have to finish.
    """

    name: str
    run: Run
    finish: Run | None = None
    outlasts: bool = False


OpenParts = Callable[["Process"], AbstractAsyncContextManager[Sequence[Part]]]


class PartExited(Exception):
    """A part asked for the end of the process, with that status."""


class Process:
    """Supervises the parts of this process."""

    def __init__(self, *, grace_seconds: float = 0.0, on_stop: Callable[[], None] = lambda: None) -> None:
        """`on_stop` is called once, when the stop begins."""
        self._grace_seconds = grace_seconds
        self._on_stop = on_stop
        self._stop = asyncio.Event()
        self._stopped_at = 0.0
        self._failed = False

    @property
    def is_stopping(self) -> bool:
        """Whether this process has begun to end: from then on it isn't ready."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Begin to stop; asking again changes nothing."""
        if not self._stop.is_set():
            self._stopped_at = asyncio.get_running_loop().time()
            self._stop.set()
            self._on_stop()

    async def run(self, opened: AbstractAsyncContextManager[Sequence[Part]]) -> bool:
        """Run the parts until a stop is asked for or one of them ends; True when none has failed.

        `opened` makes the parts and closes, at the end, what they have worked with.
        """
        resources = AsyncExitStack()
        parts = await resources.enter_async_context(opened)
        try:
            await self._supervise(parts)
        finally:
            self.stop()
            await self._close(resources)
        return not self._failed

    async def _supervise(self, parts: Sequence[Part]) -> None:
        running = {asyncio.create_task(_run(part), name=part.name): part for part in parts}
        asked = asyncio.create_task(self._stop.wait())
        await asyncio.wait([*running, asked], return_when=asyncio.FIRST_COMPLETED)
        if not self._note_ended(running):
            await asyncio.wait(running, timeout=self._grace_seconds, return_when=asyncio.FIRST_COMPLETED)
            self._note_ended(running)
        asked.cancel()
        self.stop()
        asyncio.get_running_loop().set_exception_handler(_note_what_leaving_breaks)
        drained = self._stopped_at + DRAIN_SECONDS
        for outlasting in (False, True):
            group = {task: part for task, part in running.items() if part.outlasts is outlasting}
            await self._finish(group, until=drained + LAST_SECONDS * outlasting)

    def _note_ended(self, running: "Mapping[asyncio.Task[None], Part]") -> bool:
        ended = [task for task in running if task.done()]
        for task in ended:
            self._failed = True
            # Cancelled, but not by us: a part that mistook a lost connection for its own end.
            log.error("part_ended", part=task.get_name(), error=_reason(task) or "returned")
        return bool(ended)

    async def _finish(self, group: "Mapping[asyncio.Task[None], Part]", *, until: float) -> None:
        """Let every part end what it has under way; cut what has not ended in time."""
        ended_before = {task for task in group if task.done()}
        finishing = [asyncio.create_task(_finish(task, part), name=part.name) for task, part in group.items()]
        if not finishing:
            return
        seconds = max(until - asyncio.get_running_loop().time(), 0)
        _, late = await asyncio.wait(finishing, timeout=seconds)
        cut = [*late, *(task for task in group if not task.done())]
        for task in cut:
            task.cancel()
        if cut:
            log.warning("parts_cut", parts=sorted({task.get_name() for task in cut}))
            await asyncio.wait(cut, timeout=CUT_SECONDS)
        for task in (*finishing, *(group.keys() - ended_before)):
            if task.done() and not task.cancelled() and (reason := _reason(task)):
                self._failed = True
                log.error("part_failed_while_stopping", part=task.get_name(), error=reason)

    async def _close(self, resources: AsyncExitStack) -> None:
        try:
            async with asyncio.timeout_at(self._stopped_at + STOP_SECONDS - CUT_SECONDS):
                await resources.aclose()
        except TimeoutError:
            log.warning("not_closed_in_time")


def run_process(
    open_parts: OpenParts,
    *,
    grace_seconds: float = 0.0,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Run a process until SIGTERM or SIGINT; it exits with 1 when a part ended by itself."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        well = runner.run(_main(open_parts, grace_seconds))
    if not well:
        raise SystemExit(1)


async def _main(open_parts: OpenParts, grace_seconds: float) -> bool:
    process = Process(grace_seconds=grace_seconds, on_stop=_be_gone_in_time)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, process.stop)
    return await process.run(open_parts(process))


def _be_gone_in_time() -> None:
    # What neither the loop nor a thread lets go of would keep the process; this says where, and ends it.
    faulthandler.dump_traceback_later(STOP_SECONDS, exit=True, file=sys.stderr)


async def _run(part: Part) -> None:
    try:
        await part.run()
    except SystemExit as error:
        raise PartExited(error.code) from error


async def _finish(task: "asyncio.Task[None]", part: Part) -> None:
    if part.finish is not None:
        await part.finish()
    task.cancel()
    await asyncio.wait([task])


def _reason(task: "asyncio.Task[None]") -> str | None:
    if task.cancelled():
        return "cancelled"
    error = task.exception()
    return describe(error) if error else None


def _note_what_leaving_breaks(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # A part that is ended in the middle of a query leaves its connection to be dropped, and the driver with
    # an answer that nobody waits for. That is nobody's error; whatever else goes wrong is told as ever.
    error = context.get("exception")
    if isinstance(error, ConnectionError):
        log.info("connection_dropped_while_leaving", error=describe(error))
    else:
        loop.default_exception_handler(context)

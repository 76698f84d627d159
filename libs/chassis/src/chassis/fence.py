"""A process of a restored database answers nobody, and says why, until the erasure journal is absorbed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import structlog
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from chassis.db import Database
from chassis.edge import Edge
from chassis.faults import is_transient
from chassis.health import NotHealthy
from chassis.incarnation import is_current
from chassis.problems import describe
from chassis.process import Part, Process
from chassis.server import serve

if TYPE_CHECKING:
    from chassis.erasure_journal import ErasureJournal

QUICK_SECONDS = 0.5
"""Whoever is open by then is never seen closed."""
LOOK_SECONDS = 0.2
ASK_AGAIN_SECONDS = 1.0

log = structlog.get_logger(__name__)


class ClosedForRestore(NotHealthy, status=503, title="Closed until erasures are replayed"):
    """The database may be older than the erasure journal."""

    detail = "The database may come from a backup: the erasure journal has not been replayed into it yet."


class Refusals:
    """Refuses every request but the question whether the process is alive."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; raises `ClosedForRestore`."""
        if scope["path"] == "/health/liveness":
            await JSONResponse({"status": "alive"})(scope, receive, send)
            return
        raise ClosedForRestore


async def open_after(
    absorbed: Callable[[], Awaitable[None]], *, host: str, port: int, process: Process
) -> bool:
    """Wait for `absorbed`, refusing requests at `host`:`port` meanwhile, and return True.

    False when the process was told to stop before. Raises what `absorbed` raises, and OSError when nothing
    can listen there.
    """
    waiting = asyncio.ensure_future(absorbed())
    await asyncio.wait([waiting], timeout=QUICK_SECONDS)
    if not waiting.done():
        log.warning("closed_until_erasures_are_replayed")
        await _refuse_until(waiting, host=host, port=port, process=process)
    if not waiting.done():
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        return False
    await waiting
    return True


async def _refuse_until(waiting: "asyncio.Future[None]", *, host: str, port: int, process: Process) -> None:
    server = serve(Edge(Refusals()), host=host, port=port)
    serving = asyncio.create_task(server.serve())
    try:
        while not (waiting.done() or serving.done() or process.is_stopping):
            await asyncio.wait([waiting, serving], timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if serving.done():
            raise OSError(f"nothing can listen on port {port}")
        await server.finish()
        await serving


async def until_current(schemas: Sequence[Database]) -> None:
    """Return when each schema is known to have absorbed the journal; its worker finds that out."""
    left = list(schemas)
    while left:
        try:
            if await is_current(left[0]):
                left.pop(0)
                continue
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("journal_not_looked_at_yet", error=describe(error))
        await asyncio.sleep(LOOK_SECONDS)


async def absorb_all(journals: "Sequence[ErasureJournal]") -> None:
    """Absorb every journal, again and again as long as something passing is in the way."""
    left = list(journals)
    while left:
        try:
            await left[0].absorb()
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("journal_not_absorbed_yet", error=describe(error))
            await asyncio.sleep(ASK_AGAIN_SECONDS)
        else:
            left.pop(0)


async def _wait() -> None:
    await asyncio.Event().wait()


NEVER_OPENED = Part("closed", _wait)
"""The one part of a process that is told to stop before it has opened."""

"""The HTTP server of a process: uvicorn, which leaves signals and the order of the end to the process."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from socket import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.loops.auto import auto_loop_factory

from chassis.process import DRAIN_SECONDS, Part

CANCELLED_EARLIER_SECONDS = 2.0
"""Requests that do not end are cancelled while their connections can still be closed in good order."""

new_event_loop = auto_loop_factory()


class Server(uvicorn.Server):
    """A server that ends when `finish` asks for it, after the requests that are under way."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._over = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: they are the process's."""
        yield

    async def serve(self, sockets: list[socket] | None = None) -> None:
        """Serve until `finish`; raises SystemExit when the server can't start."""
        try:
            await super().serve(sockets)
        finally:
            self._over.set()

    async def finish(self) -> None:
        """Accept nothing more, and return when every running request has its answer."""
        self.should_exit = True
        await self._over.wait()

    def part(self, name: str, *, listening: socket | None = None, outlasts: bool = False) -> Part:
        """Return this server as a part of a process; without a `listening` socket it makes its own."""
        sockets = None if listening is None else [listening]
        return Part(name, partial(self.serve, sockets), finish=self.finish, outlasts=outlasts)


def serve(app: ASGIApp, *, host: str, port: int, grace_seconds: float = 0.0, **options: Any) -> Server:
    """Return a server of `app`; `options` are uvicorn's.

    The client's address is never taken from forwarding headers here: only the gateway knows whom it may
    believe.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=int(DRAIN_SECONDS - grace_seconds - CANCELLED_EARLIER_SECONDS),
        **{"timeout_keep_alive": 75, "lifespan": "off", **options},
    )
    return Server(config)

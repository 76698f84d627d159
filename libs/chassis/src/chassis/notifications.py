"""Wake-ups: whoever writes a row of a work table wakes its workers, in this process and in every other one.

A wake-up only shortens a wait: PostgreSQL keeps no NOTIFY for who isn't listening, so every loop also polls.
"""

import asyncio
from weakref import WeakSet

import asyncpg
import structlog
from pydantic import SecretStr

from chassis.database_url import read_database_url
from chassis.faults import asked_to_stop

RECONNECT_SECONDS = 1.0
SIGN_OF_LIFE_SECONDS = 10.0

log = structlog.get_logger(__name__)


class Notifications:
    """The wake-ups of one schema's tables: one channel, one connection for all of them."""

    def __init__(self, url: SecretStr, schema: str) -> None:
        self.channel = f"{schema}_work"
        self._url = url
        self._events: dict[str, WeakSet[asyncio.Event]] = {}

    def event(self, table: str) -> asyncio.Event:
        """Return an event that is set whenever `table` gets work; the caller keeps it, and clears it."""
        event = asyncio.Event()
        self._events.setdefault(table, WeakSet()).add(event)
        return event

    def wake(self, table: str) -> None:
        """Wake whoever waits in this process for work in `table`."""
        for event in self._events.get(table, ()):
            event.set()

    async def listen(self) -> None:
        """Pass on the wake-ups of other processes until cancelled."""
        dsn = read_database_url(self._url).dsn
        while True:
            try:
                await self._listen_on_one_connection(dsn)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if asked_to_stop():
                    # The cancellation has ended in the farewell to a server that does not answer.
                    raise asyncio.CancelledError from error
                log.warning("notifications_interrupted", channel=self.channel, error=type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_on_one_connection(self, dsn: str) -> None:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            await connection.add_listener(self.channel, lambda *message: self.wake(str(message[-1])))
            while not connection.is_closed():
                await connection.execute("SELECT 1", timeout=5)
                await asyncio.sleep(SIGN_OF_LIFE_SECONDS)
        finally:
            await connection.close(timeout=2)

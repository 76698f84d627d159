"""The units of work of one request as one transaction, so that what it did and its answer commit together.

A unit of work that only read ends with its block, as ever: its connection goes back to the pool, so slow
work between two units of work (the hash of a password, a question to another service) holds none, however
many requests wait for it. From the first unit of work that wrote, the transaction stays open until the
commit, and every later one is a savepoint of it: it has a session of its own, and an error undoes it alone.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import Token
from typing import Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from chassis.db import Database, SharedTransaction, UnitOfWork, current_request_transaction
from chassis.driver import Statements
from chassis.transactions import transaction_open


class RequestTransaction:
    """Inside `async with`, the units of work of `database` wait for `commit`; without it they are undone.

    `on_begin` runs first in every transaction that this opens. One unit of work is open at a time.
    """

    def __init__(self, database: Database, *, on_begin: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        self.database = database
        self.over = False
        self._on_begin = on_begin
        self._resources = AsyncExitStack()
        self._connection: AsyncConnection | None = None
        self._in_use = self._wrote = self._durable = False
        self._after_commit: list[Callable[[], None]] = []
        self._afterwards: list[Callable[[], Awaitable[None]]] = []
        self._outside: Token[SharedTransaction | None] | None = None

    async def __aenter__(self) -> Self:
        self._outside = current_request_transaction.set(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._outside is not None:
            current_request_transaction.reset(self._outside)
        # A task that this request started and did not wait for has transactions of its own from here on.
        self.over = True
        await self._close()
        if self._durable:
            for action in self._afterwards:
                await action()

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[UnitOfWork]:
        """Open a unit of work; its block ends a savepoint, or undoes everything since its beginning."""
        if self._in_use:
            raise RuntimeError("the units of work of a request with an Idempotency-Key come one by one")
        self._in_use = True
        try:
            # What fails before anything was written may undo the whole transaction.
            session = AsyncSession(
                await self._begun(),
                expire_on_commit=False,
                join_transaction_mode="create_savepoint" if self._wrote else "rollback_only",
            )
            async with session:
                uow = UnitOfWork(session, self.database)
                async with session.begin():
                    yield uow
                    announced = await uow.flush_events()
            self._wrote = self._wrote or announced
            await self._end_if_it_only_read(uow)
        finally:
            self._in_use = False
            if not self._wrote:
                await self._close()

    def afterwards(self, action: Callable[[], Awaitable[None]]) -> None:
        """Call `action` when the transaction is durable and this request's connection is free again."""
        self._afterwards.append(action)

    async def commit(self, last: str | None = None) -> None:
        """Make durable what was written, and what the script `last` writes; raises what a commit raises."""
        await self._finish(last)
        self._durable = True

    async def _finish(self, last: str | None = None) -> None:
        if last is not None:
            await Statements(await self._begun()).before_commit(last)
        if self._connection is not None:
            if self._connection.invalidated:
                raise ConnectionResetError("the connection was lost, and with it what had been written")
            await self._connection.commit()
            await self._close()
        while self._after_commit:
            self._after_commit.pop(0)()

    async def _begun(self) -> AsyncConnection:
        if self._connection is None:
            self._resources.enter_context(transaction_open())
            connection = await self._resources.enter_async_context(self.database.engine.connect())
            await connection.begin()
            await self._on_begin(connection)
            self._connection = connection
        return self._connection

    async def _end_if_it_only_read(self, uow: UnitOfWork) -> None:
        self._after_commit.append(uow.run_after_commit)
        # PostgreSQL gives a transaction a number when it first writes or locks a row.
        numbered = text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
        self._wrote = self._wrote or bool(await (await self._begun()).scalar(numbered))
        if not self._wrote:
            await self._finish()

    async def _close(self) -> None:
        self._connection = None
        await self._resources.aclose()

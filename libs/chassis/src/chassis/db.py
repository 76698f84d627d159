"""Transactions: one unit of work per request or message, with its events in the same commit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from copy import copy
from datetime import datetime
from functools import partial
from typing import Any, Protocol, Self
from uuid import UUID

import structlog
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from chassis import scripts
from chassis.clock import Clock, SystemClock
from chassis.context import traceparent
from chassis.database_url import read_database_url
from chassis.driver import statements_of
from chassis.engine import TAKES_NO_WRITES, ReadOnlyServer, make_engine
from chassis.notifications import Notifications
from chassis.outbox import outbox_row
from chassis.prepared import Prepared
from chassis.problems import PersonErased
from chassis.settings import StatefulSettings, all_key_bytes
from chassis.tables import ChassisTables, tables_of
from chassis.tombstones import TombstoneKeys
from chassis.transactions import transaction_open
from contracts.envelope import Event

CLOSE_SECONDS = 2.0

log = structlog.get_logger(__name__)


class UnitOfWork:
    """One transaction and the events that become true with it."""

    def __init__(self, session: AsyncSession, database: "Database") -> None:
        self.session = session
        self.statements = statements_of(session)
        self._database = database
        self._events: list[tuple[Event, str | None]] = []
        self._after_commit: list[Callable[[], None]] = []
        self._woken: set[str] = set()
        # Statements that travel with the commit.
        self.before_commit: list[str] = []

    def publish(self, event: Event) -> None:
        """Announce `event` if, and only if, this unit of work commits; TypeError for a deprecated one."""
        if event.deprecated:
            raise TypeError(f"{event.type} is deprecated: nobody publishes it any more")
        self._events.append((event, traceparent.get()))

    def now(self) -> datetime:
        """Return the moment, by the clock that this process goes by."""
        return self._database.clock.now()

    def after_commit(self, action: Callable[[], None]) -> None:
        """Call `action` once the transaction is durable; for wake-ups, never for effects that must happen."""
        self._after_commit.append(action)

    async def lock_subject(self, user_id: UUID) -> None:
        """Declare that this transaction writes about `user_id`.

        Until the transaction ends, no erasure of that person can begin, so nothing written here can
        outlive it. Raises `PersonErased` when the erasure has begun already.
        """
        script = scripts.lock_subject(self.tables.tombstones, self._database.tombstone_keys.hashes(user_id))
        if await self.statements.run(script, purpose="lock a data subject") != scripts.NOTHING_FOUND:
            raise PersonErased

    async def fetch_about(self, user_id: UUID, statement: Prepared, values: Mapping[str, Any]) -> list[Any]:
        """Do what `lock_subject` does and return the rows of a statement behind it, in one round trip.

        The statement looks for the tombstone itself, by `chassis.tombstones.is_buried`: its first row begins
        with whether there is one. Raises `PersonErased`.
        """
        hashes = self._database.tombstone_keys.hashes(user_id)
        rows = await self.statements.fetch(
            statement, {**values, "person_hash": hashes}, behind=[scripts.hold_subject(hashes)]
        )
        if rows[0][0]:
            raise PersonErased
        return rows

    async def is_erased(self, user_id: UUID) -> bool:
        """Tell whether the erasure of `user_id` has begun here."""
        script = scripts.find_tombstone(self.tables.tombstones, self._database.tombstone_keys.hashes(user_id))
        return await self.statements.run(script, purpose="find a tombstone") != scripts.NOTHING_FOUND

    async def add_tombstone(self, *user_ids: UUID, erasure_id: UUID | None = None) -> None:
        """Raise the tombstones of people, after every transaction that writes about them has ended."""
        people = map(self._database.tombstone_keys.hashes, user_ids)
        keys = self._database.tombstone_keys.raised_under(self.now())
        script = scripts.add_tombstones(self.tables.tombstones, people, erasure_id, keys=keys)
        await self.statements.run(script, purpose="add tombstones")
        self.wake(self.tables.tombstones.name)

    def wake(self, table: str) -> None:
        """Wake whoever works on the rows of the work table `table`, once this unit of work is durable."""
        self._woken.add(table)

    @property
    def tables(self) -> ChassisTables:
        """The chassis' tables of this service's schema."""
        return self._database.tables

    async def flush_events(self) -> bool:
        """Write announced events into the outbox, and wake, in a round trip of its own; False without any."""
        announced = bool(self._events)
        if script := await self._announcements():
            await self.statements.run(script, purpose="write the outbox")
        return announced

    async def flush_events_with_commit(self) -> None:
        """Write them in the round trip of the commit, which must come next."""
        if script := await self._announcements():
            # From here on the library must have nothing to say before the commit.
            await self.session.flush()
            await self.statements.before_commit(script)

    def run_after_commit(self) -> None:
        """Run what waits for the commit."""
        for action in self._after_commit:
            action()

    async def _announcements(self) -> str:
        if self._events:
            now = self.now()
            rows = [outbox_row(event, trace, now=now) for event, trace in self._events]
            await write_outbox(self, rows)
            self._woken.add(self.tables.outbox.name)
        notifications = self._database.notifications
        for table in sorted(self._woken):
            self.before_commit.append(scripts.wake(notifications.channel, table))
            self.after_commit(partial(notifications.wake, table))
        script = "; ".join(self.before_commit)
        for done in (self._events, self._woken, self.before_commit):
            done.clear()
        return script


async def write_outbox(uow: UnitOfWork, rows: Sequence[dict[str, Any]]) -> None:
    """Let the unit of work insert outbox rows in order, before it ends."""
    uow.before_commit.append(scripts.write_outbox(uow.tables.outbox, rows))


class SharedTransaction(Protocol):
    """What makes one transaction of the units of work of one request; see `chassis.request_transaction`."""

    database: "Database"
    over: bool

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a unit of work that commits with the others."""

    def afterwards(self, action: Callable[[], Awaitable[None]]) -> None:
        """Call `action` after the commit."""


current_request_transaction: ContextVar[SharedTransaction | None] = ContextVar(
    "current_request_transaction", default=None
)


class Database:
    """A service's schema: its engine and its units of work."""

    def __init__(
        self,
        url: SecretStr,
        *,
        schema: str,
        tombstone_key: bytes | Sequence[bytes],
        keys: Mapping[str, bytes] | None = None,
        direct_url: SecretStr | None = None,
        application_name: str | None = None,
        pool_size: int = 10,
        clock: Clock | None = None,
    ) -> None:
        self.url = url
        self.schema = schema
        self.tables = tables_of(schema)
        # Who listens keeps a connection, which a pooler of transactions can't give.
        self.notifications = Notifications(direct_url or url, schema)
        self.clock: Clock = clock or SystemClock()
        self._application_name = application_name or schema
        self.tombstone_keys = TombstoneKeys(schema, tombstone_key)
        self.keys = {**self.tombstone_keys.by_name, **(keys or {})}
        self.lasting_keys, self.first_used = tuple[str, ...](), dict[str, datetime]()
        self._connect(pool_size)

    @classmethod
    def of(
        cls, settings: StatefulSettings, *, schema: str, clock: Clock, keys: Mapping[str, bytes] | None = None
    ) -> Self:
        """Return the schema of a service as its settings say; it connects at its first use."""
        return cls(
            settings.database_url,
            schema=schema,
            tombstone_key=all_key_bytes(settings.tombstone_key),
            keys=keys,
            direct_url=settings.database_direct_url,
            pool_size=settings.database_pool_size,
            clock=clock,
        )

    def _connect(self, pool_size: int) -> None:
        self.engine = make_engine(self.url, application_name=self._application_name, pool_size=pool_size)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._single = self._sessions
        if not read_database_url(self.url).pooled:
            # Without a transaction around it, a pooler could send a statement and its values to two servers.
            self._single = async_sessionmaker(
                self.engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False
            )

    def apart(self, connections: int) -> "Database":
        """Return the same schema with connections of its own, which nobody else uses up; close it as well."""
        other = copy(self)
        other._connect(connections)  # noqa: SLF001
        return other

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a transaction; commit it with its events at the end of the block, or roll all of it back.

        In a request with an `Idempotency-Key`, what was written commits when the request has its answer.
        """
        shared = self._shared_transaction()
        return shared.unit_of_work() if shared is not None else self._transaction()

    def read_only(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session for one query, a transaction of its own: one round trip instead of three."""
        return self.one_statement()

    @asynccontextmanager
    async def one_statement(self) -> AsyncIterator[AsyncSession]:
        """Open a session for one statement, which commits by itself, with nothing to announce."""
        if self._shared_transaction() is not None:
            async with self.unit_of_work() as uow:
                yield uow.session
        else:
            with transaction_open():
                async with self._single() as session:
                    yield session
                    if self._single is self._sessions:
                        await session.commit()

    async def when_durable(self, action: Callable[[], Awaitable[None]]) -> None:
        """Do `action` once everything that was written before is durable: now, or when the request commits.

        For work outside the database that must not come before the commit, nor hold a transaction open.
        """
        shared = self._shared_transaction()
        if shared is not None:
            shared.afterwards(action)
        else:
            await action()

    def _shared_transaction(self) -> SharedTransaction | None:
        shared = current_request_transaction.get()
        return shared if shared is not None and shared.database is self and not shared.over else None

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[UnitOfWork]:
        with transaction_open():
            async with self._sessions() as session:
                uow = UnitOfWork(session, self)
                async with session.begin():
                    yield uow
                    await uow.flush_events_with_commit()
        uow.run_after_commit()

    def person_hash(self, user_id: UUID) -> str:
        """Return the keyed hash under which an erased person is remembered from now on: 64 hex digits."""
        return self.tombstone_keys.newest_hash(user_id)

    def subkey(self, purpose: str) -> bytes:
        """Return a secret of this service for one purpose: 32 bytes that stay the same, by the oldest key."""
        return self.tombstone_keys.subkey(purpose)

    async def ping(self) -> None:
        """Ask the database whether it takes writes; raises `ReadOnlyServer`, or what the driver raises."""
        async with self._single() as session:
            connection = await session.connection()
            if await connection.scalar(TAKES_NO_WRITES):
                # Whoever asks again is led to the server that does, if there is one.
                await connection.invalidate()
                raise ReadOnlyServer

    async def close(self) -> None:
        """Close every connection; a server that is silent is not waited for."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.engine.dispose()
        except TimeoutError:
            log.warning("database_not_closed_in_good_order", schema=self.schema)

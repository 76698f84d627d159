"""The driver's connections, and what the chassis says to them past the library's statements.

A script is several statements in one message of the simple protocol: one round trip. Each sees what was
committed before it began, also after the one before it has waited for a lock. The same holds for statements
that return no rows and are sent right before a prepared one: only that one is waited for.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from chassis.prepared import Prepared

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"


class Transaction:
    """A transaction of one connection: a script travels with its begin, and others with its commit."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._begun = False
        self._last: list[str] = []

    def opening(self) -> str:
        """Return the statement that begins it, for whoever sends it right before another one."""
        self._begun = True
        return _BEGIN

    async def start(self, script: str = "") -> str:
        """Begin and run `script`; return the status of its last statement."""
        self._begun = True
        return str(await self._connection.execute(f"{_BEGIN}; {script}"))

    def before_commit(self, script: str) -> None:
        """Run `script` right before the commit, in the same round trip; it begins what nothing has begun."""
        self._last.append(script)

    async def commit(self) -> None:
        """Run what waits for the commit, and commit; what fails there leaves nothing."""
        begin = [] if self._begun else [_BEGIN]
        try:
            await self._connection.execute("; ".join([*begin, *self._last, "COMMIT"]))
        except asyncpg.PostgresError:
            if self._connection.is_in_transaction():
                await self.rollback()
            raise
        except (Exception, asyncio.CancelledError):
            # How far it came is not known, so nobody must meet the rest of it on this connection.
            self._connection.terminate()
            raise

    async def rollback(self) -> None:
        """Undo everything."""
        if self._begun or self._connection.is_in_transaction():
            await self._connection.execute("ROLLBACK")


class DriverConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose transactions are ours."""

    def transaction(self, **options: Any) -> Any:
        """Return a transaction that has not begun, of the driver's own kind if it is no usual one."""
        chosen = {value for value in options.values() if value}
        return Transaction(self) if chosen <= {"read_committed"} else super().transaction(**options)

    async def fetch_behind(self, first: Sequence[str], text: str, arguments: Sequence[Any]) -> list[Any]:
        """Return the rows of a statement that runs behind others, which return none, in one round trip.

        If one of them fails, those behind it do not run, and its error is raised.
        """
        if first:
            known = (text, self._protocol.get_record_class(), False)
            if self._stmt_cache.has(known):
                # Without a message that asks for an answer, so the driver waits once, for its own: it lets
                # pass what comes before the rows. It has no way of its own to send statements in one go.
                self._transport.write(b"".join(map(_unanswered, first)))
            else:
                await self.execute("; ".join(first))
        return list(await self.fetch(text, *arguments))


def _unanswered(statement: str) -> bytes:
    """Return the messages of the extended protocol (PostgreSQL, ch. 54) that run a statement: no Sync."""
    nothing, no_values = b"\0", bytes(6)
    parse = _message(b"P", nothing + statement.encode() + nothing + bytes(2))
    return parse + _message(b"B", nothing + nothing + no_values) + _message(b"E", nothing + bytes(4))


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body


class Statements:
    """What the chassis says to the connection of one session's transaction, beginning it if need be.

    What the driver raises becomes what the library raises: a `DBAPIError`, and a lost connection is given up.
    """

    def __init__(self, of: AsyncSession | AsyncConnection) -> None:
        self._of = of
        self._opened: tuple[AsyncConnection, Any] | None = None

    async def run(self, script: str, *, purpose: str) -> str:
        """Run a script in one round trip; return the status of its last statement, such as `SELECT 1`.

        `purpose` stands in errors for the script, which names people.
        """
        connection, adapted = await self._connection()
        try:
            if adapted._transaction is not None:  # noqa: SLF001 - the library has no public way to its state
                return str(await adapted._connection.execute(script))  # noqa: SLF001
            adapted._transaction = transaction = adapted._connection.transaction()  # noqa: SLF001
            return str(await transaction.start(script))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - raised again, as the library would
            return await connection.run_sync(_raise, adapted, error, purpose)

    async def fetch(
        self, statement: Prepared, values: Mapping[str, Any], *, behind: Sequence[str] = ()
    ) -> list[Any]:
        """Return the rows of a statement, in one round trip also when it begins the transaction.

        It runs behind the statements `behind`, which return no rows. It does not see what the session holds
        back.
        """
        connection, adapted = await self._connection()
        try:
            if adapted._transaction is None and adapted.isolation_level != "autocommit":  # noqa: SLF001
                adapted._transaction = adapted._connection.transaction()  # noqa: SLF001
                behind = (adapted._transaction.opening(), *behind)  # noqa: SLF001
            raw: DriverConnection = adapted._connection  # noqa: SLF001
            return await raw.fetch_behind(behind, statement.text, statement.arguments(values))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - raised again, as the library would
            return await connection.run_sync(_raise, adapted, error, statement.text)

    async def before_commit(self, script: str) -> None:
        """Run a script in the round trip of the commit, which must come next."""
        _, adapted = await self._connection()
        if adapted._transaction is None:  # noqa: SLF001
            adapted._transaction = adapted._connection.transaction()  # noqa: SLF001
        adapted._transaction.before_commit(script)  # noqa: SLF001

    async def _connection(self) -> tuple[AsyncConnection, Any]:
        if self._opened is None:
            of = self._of
            connection = of if isinstance(of, AsyncConnection) else await of.connection()
            raw = await connection.get_raw_connection()
            self._opened = connection, raw.dbapi_connection
        return self._opened


def statements_of(session: AsyncSession) -> Statements:
    """Return what is said past a session to the connection of its transaction."""
    said: Statements = session.info.setdefault(Statements, Statements(session))
    return said


def _raise(connection: Connection, adapted: Any, error: BaseException, purpose: str) -> NoReturn:
    try:
        adapted._handle_exception(error)  # noqa: SLF001
    except (Exception, asyncio.CancelledError) as told:  # noqa: BLE001 - always raises
        connection._handle_dbapi_exception(told, purpose, None, None, None)  # noqa: SLF001
    raise error

"""The driver's connections, and what the chassis says to them past the library's statements.

A script is several statements in one message of the simple protocol: one round trip. Each sees what was
committed before it began, also after the one before it has waited for a lock.
"""

import asyncio
from typing import Any, NoReturn

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"


class Transaction:
    """A transaction of one connection: a script travels with its begin, and others with its commit."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._begun = False
        self._last: list[str] = []

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


def _raise(connection: Connection, adapted: Any, error: BaseException, purpose: str) -> NoReturn:
    try:
        adapted._handle_exception(error)  # noqa: SLF001
    except (Exception, asyncio.CancelledError) as told:  # noqa: BLE001 - always raises
        connection._handle_dbapi_exception(told, purpose, None, None, None)  # noqa: SLF001
    raise error

"""Leases on the rows of a work table: by the database's clock, fenced by a token.

Only the holder of a lease can settle, postpone or release its row. A process that dies leaves a lease that
runs out, and whoever comes too late finds that the row is no longer theirs.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Executable,
    FromClause,
    Integer,
    Interval,
    Table,
    Update,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate

from chassis.db import Database
from chassis.faults import TransientFault, is_transient
from chassis.problems import describe

LONGEST_ERROR = 200
_DOUBLINGS = 32
_FREED: dict[str, Any] = {"lease_token": None, "lease_until": None}

log = structlog.get_logger(__name__)


class LeaseLost(TransientFault):
    """The work took longer than its lease; somebody else has the row now."""


def backoff(failures: int, *, shortest: float, longest: float) -> float:
    """Return how many seconds to wait after so many failures: doubling, at most `longest`, spread by half."""
    # The exponent is capped, not only the result: 2 ** 1024 is no float.
    doubled = shortest * 2.0 ** min(max(failures - 1, 0), _DOUBLINGS)
    return min(doubled, longest) * random.uniform(0.5, 1.0)  # noqa: S311 - spread, not secrecy


@dataclass(frozen=True)
class Claimed:
    """A row under our lease: the table's columns by name, and `row.attempts` says how often it failed."""

    row: Any
    key: tuple[Any, ...]
    token: UUID


@dataclass(frozen=True)
class Depth:
    """What an operator wants to know of a work table."""

    waiting: int
    failing: int
    oldest_seconds: float

    @property
    def words(self) -> str | None:
        """The same in words; None while nothing waits."""
        if not self.waiting:
            return None
        return f"{self.waiting} wait, {self.failing} failing, the oldest for {self.oldest_seconds:.0f} s"


class LeasedTable:
    """A work table whose rows are taken under leases by any number of processes."""

    def __init__(
        self,
        database: Database,
        table: FromClause,
        *,
        open_rows: ColumnElement[bool] | None = None,
        order_by: ColumnElement[Any] | None = None,
        since: ColumnElement[Any] | None = None,
        ready: ColumnElement[bool] | None = None,
        lease_seconds: float = 30.0,
        backoff_seconds: tuple[float, float] = (0.5, 60.0),
    ) -> None:
        """`table` has the columns of `chassis.tables.lease_columns`, and `last_error`.

        `open_rows` tells rows that are work from those that are done (all, unless given), `order_by` which
        come first (those that wait longest), `since` when a row became work (its `created_at`), `ready` which
        rows may be taken (all).
        """
        if not isinstance(table, Table):
            raise TypeError("a work table is a table of the schema, such as Mail.__table__")
        self._database = database
        self.table = table
        self._keys = list(table.primary_key.columns)
        self._open = true() if open_rows is None else open_rows
        self._order = table.c.next_attempt_at if order_by is None else order_by
        self._since = table.c.created_at if since is None else since
        self.lease_seconds = lease_seconds
        self._pause = _pause_after(table.c.attempts, *backoff_seconds)
        # Building a statement costs more than running it: these are built once.
        self._claim = self._claiming(true() if ready is None else ready)
        self._mine = and_(
            table.c.lease_token == bindparam("held_token", type_=Uuid),
            *(key == bindparam(f"held_{key.name}", type_=key.type) for key in self._keys),
        )
        self._remove_mine = delete(table).where(self._mine).returning(*self._keys)
        self._remove_named = _removing(table, self._keys[0])

    async def claim(
        self, limit: int, *, only: ColumnElement[bool] | None = None, token: UUID | None = None
    ) -> list[Claimed]:
        """Take at most `limit` rows that are due, or those of them that `only` names, under one lease."""
        statement = self._claim if only is None else self._claiming(only)
        token = token or uuid4()
        lease = timedelta(seconds=self.lease_seconds)
        async with self._database.one_statement() as session:
            found = await session.execute(
                statement, {"held_token": token, "held_for": lease, "held_limit": limit}
            )
            rows: Sequence[Any] = found.all()
        return [Claimed(row, tuple(getattr(row, key.name) for key in self._keys), token) for row in rows]

    def _claiming(self, only: ColumnElement[bool]) -> Update:
        table, now = self.table, func.clock_timestamp()
        due = (
            select(*self._keys)
            .where(
                self._open,
                table.c.next_attempt_at <= now,
                or_(table.c.lease_until.is_(None), table.c.lease_until < now),
                only,
            )
            .order_by(self._order)
            .limit(bindparam("held_limit", type_=Integer))
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        return (
            update(table)
            .where(*(key == due.c[key.name] for key in self._keys))
            .values(
                lease_token=bindparam("held_token", type_=Uuid),
                lease_until=now + bindparam("held_for", type_=Interval),
            )
            .returning(*table.c)
        )

    async def keep(self, session: AsyncSession, claimed: Claimed, **values: Any) -> None:
        """Write `values` into the row in the caller's transaction, and go on; raises `LeaseLost`."""
        await self._must_hit(session, self._writing(values), claimed)

    async def settle(self, session: AsyncSession, claimed: Claimed, **values: Any) -> None:
        """End the work in the caller's transaction: remove the row, or keep it with `values` and no lease.

        Raises `LeaseLost` when somebody else has the row; the caller's transaction must then not commit.
        """
        ended = self._writing(_FREED | values) if values else self._remove_mine
        await self._must_hit(session, ended, claimed)

    async def keep_all(self, session: AsyncSession, claimed: Sequence[Claimed], **values: Any) -> None:
        """Write `values` into the rows in the caller's transaction, and go on; raises `LeaseLost` for one."""
        if len(await self._write_all(session, claimed, values)) < len(claimed):
            raise LeaseLost

    async def settle_all(
        self, session: AsyncSession, claimed: Sequence[Claimed], **values: Any
    ) -> list[Claimed]:
        """Write `values` into the rows and end their leases, in the caller's transaction; return those held.

        Whoever has one of the others now does its work again.
        """
        return await self._write_all(session, claimed, _FREED | values)

    async def _write_all(
        self, session: AsyncSession, claimed: Sequence[Claimed], values: dict[str, Any]
    ) -> list[Claimed]:
        mine = or_(*(self._held_all(token, rows) for token, rows in _by_token(claimed).items()))
        written = update(self.table).where(mine).values(**values).returning(*self._keys)
        ours = {tuple(key) for key in await session.execute(written)}
        return [each for each in claimed if each.key in ours]

    def _writing(self, values: dict[str, Any]) -> ReturningUpdate[Any]:
        return update(self.table).where(self._mine).values(**values).returning(*self._keys)

    async def remove(self, session: AsyncSession, claimed: Sequence[Claimed]) -> int:
        """Remove those of the rows that are still ours, in the caller's transaction; return how many.

        For tables whose key is one column.
        """
        if not claimed:
            return 0
        removed = 0
        for token, rows in _by_token(claimed).items():
            named = {"held_token": token, "held_keys": [row.key[0] for row in rows]}
            removed += len((await session.execute(self._remove_named, named)).all())
        return removed

    async def postpone(
        self,
        claimed: Claimed | Sequence[Claimed],
        error: BaseException | str,
        *,
        seconds: float | None = None,
    ) -> None:
        """Give rows back for a later attempt: `seconds` from now, or as long as the failures of each demand.

        A database that is away is no error: the leases run out, and the rows are due again then.
        """
        table = self.table
        said = error if isinstance(error, str) else describe(error)
        pause = self._pause if seconds is None else timedelta(seconds=seconds)
        values = _FREED | {
            "attempts": table.c.attempts + 1,
            "next_attempt_at": func.clock_timestamp() + pause,
            "last_error": said[:LONGEST_ERROR],
        }
        rows = [claimed] if isinstance(claimed, Claimed) else claimed
        for token, held in _by_token(rows).items():
            await self._unless_away(update(table).where(self._held_all(token, held)).values(**values))

    async def release(self, claimed: Sequence[Claimed]) -> None:
        """Give the rows back as they were, due at once: nothing is known against them."""
        for token, rows in _by_token(claimed).items():
            await self.free(self._held_all(token, rows))

    async def depth(self) -> Depth:
        """Return how many rows wait, how many of them have failed before, and how long the oldest waits."""
        age = func.extract("epoch", func.clock_timestamp() - func.min(self._since))
        failing = func.count().filter(self.table.c.attempts > 0)
        statement = select(func.count(), failing, func.coalesce(age, 0)).select_from(self.table)
        async with self._database.read_only() as session:
            waiting, failed, oldest = (await session.execute(statement.where(self._open))).one()
        return Depth(waiting=waiting, failing=failed, oldest_seconds=float(oldest))

    async def free(self, rows: ColumnElement[bool]) -> None:
        """End the leases of `rows`; a database that is away is no error: they run out."""
        await self._unless_away(update(self.table).where(rows).values(_FREED))

    async def _unless_away(self, statement: Update) -> None:
        try:
            async with self._database.one_statement() as session:
                await session.execute(statement)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("lease_kept", table=self.table.fullname, error=describe(error))

    def _held_all(self, token: UUID, rows: Sequence[Claimed]) -> ColumnElement[bool]:
        if len(self._keys) == 1:
            # One statement, however many rows.
            (key,) = self._keys
            named = key == any_(cast([row.key[0] for row in rows], ARRAY(key.type)))
        else:
            named = tuple_(*self._keys).in_([row.key for row in rows])
        return and_(self.table.c.lease_token == token, named)

    async def _must_hit(self, session: AsyncSession, statement: Executable, claimed: Claimed) -> None:
        key = {f"held_{column.name}": value for column, value in zip(self._keys, claimed.key, strict=True)}
        if (await session.execute(statement, {"held_token": claimed.token, **key})).first() is None:
            raise LeaseLost


def _pause_after(attempts: ColumnElement[int], shortest: float, longest: float) -> ColumnElement[timedelta]:
    """Return, as an interval, what `backoff` says for one failure more than `attempts`."""
    doubled = shortest * func.power(2.0, func.least(attempts, _DOUBLINGS))
    seconds = func.least(doubled, longest) * (0.5 + func.random() / 2)
    return seconds * literal(timedelta(seconds=1), Interval)


def _removing(table: Table, key: ColumnElement[Any]) -> ReturningDelete[Any]:
    """Return what removes those rows of one lease that have one of these keys."""
    held = table.c.lease_token == bindparam("held_token", type_=Uuid)
    named = key == any_(bindparam("held_keys", type_=ARRAY(key.type)))
    return delete(table).where(held, named).returning(key)


def _by_token(claimed: Sequence[Claimed]) -> dict[UUID, list[Claimed]]:
    sorted_out: dict[UUID, list[Claimed]] = {}
    for each in claimed:
        sorted_out.setdefault(each.token, []).append(each)
    return sorted_out

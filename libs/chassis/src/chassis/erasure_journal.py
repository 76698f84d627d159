"""The erasure journal of a schema: its tombstones, written once into the object store, outside every backup.

Whoever restores the schema from a backup finds there who was erased since. A schema is open when it is known
to have absorbed all of it; what it was known for ends with the server's start and with the table's file, so a
restored schema is closed, however it was restored. See docs/decisions/0026-the-erasure-journal.md.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.db import Database, UnitOfWork
from chassis.faults import TransientFault, is_transient
from chassis.incarnation import incarnation_of, is_current
from chassis.journal_page import (
    ENTRIES,
    FIRST_PREVIOUS,
    LARGEST_PAGE,
    JournalBroken,
    JournalEntry,
    JournalPage,
    digest_of,
)
from chassis.object_store import ObjectStore
from chassis.problems import describe
from chassis.sealing import key_id

LOOK_SECONDS = 5.0
"""A wake-up brings a tombstone into the store at once; this is for one that gets lost, and for restores."""
PAGES_AT_ONCE = 32
_TYPE = "application/json"

log = structlog.get_logger(__name__)

Sweep = Callable[[], Awaitable[None]]
"""Erases whatever the schema still holds of people whose tombstone it has; harmless when repeated."""


class NotAbsorbed(TransientFault):
    """It is not known whether this schema has absorbed the journal; nothing is added to it meanwhile."""


class DatabaseRestored(Exception):
    """The store has pages that the schema does not know: the process ends, and starts closed."""


@dataclass(frozen=True)
class _Head:
    position: int
    digest: str


class ErasureJournal:
    """The journal of one schema; any number of processes may keep it."""

    def __init__(self, database: Database, objects: ObjectStore, *, sweep: Sweep) -> None:
        self.schema = database.schema
        self._database = database
        self._objects = objects
        self._sweep = sweep
        self._folder = f"{database.schema}/"
        self._key = key_id(database.keys[f"{database.schema.upper()}_TOMBSTONE_KEY"]).hex()
        self._one_at_a_time = asyncio.Lock()
        # The caller keeps the event, else nobody is woken.
        self._wake = database.notifications.event(database.tables.tombstones.name)

    async def run(self) -> None:
        """Keep the journal until cancelled; raises `DatabaseRestored` when the schema falls behind it."""
        while True:
            self._wake.clear()
            try:
                await self.confirm()
                await self.keep()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("journal_postponed", schema=self.schema, error=describe(error))
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                # No wake-up is no proof that nothing has happened.
                continue

    async def keep(self) -> None:
        """Bring every tombstone that there is into the store; raises what the store raises.

        When it returns, those that were committed before the call are there to stay.
        """
        async with self._one_at_a_time:
            if not await self._anything_waits():
                return
            while await self._seal():
                continue
            for position, body in await self._sealed():
                await self._store(position, body)

    async def tell(self) -> str | None:
        """Say how many erasures are not in the store yet; None when all are."""
        stones, pages = self._database.tables.tombstones, self._database.tables.journal_pages
        waits = stones.c.journal_page.is_(None) | stones.c.journal_page.in_(select(pages.c.position))
        async with self._database.read_only() as session:
            waiting = await session.scalar(select(func.count()).select_from(stones).where(waits))
        return f"{waiting} erasures are not in the journal yet" if waiting else None

    async def confirm(self) -> None:
        """Note that the schema has absorbed the journal, after a new start of its server.

        Raises `DatabaseRestored` when it has not, and what the store raises.
        """
        if await is_current(self._database):
            return
        head = await self._head()
        if await self._pages_after(head.position, most=1):
            log.critical("database_restored", schema=self.schema, knows=head.position)
            raise DatabaseRestored(f"{self.schema} is older than the erasure journal")
        await self._note(head.position, head.digest)

    async def absorb(self) -> int:
        """Take in every page that the schema does not know; return how many entries these have.

        Nothing is asked of the store while it is known that there is none. Raises `JournalBroken`, what the
        store raises, and what an erasure raises that does not succeed.
        """
        if await is_current(self._database):
            return 0
        head = await self._head()
        position, digest, entries = head.position, head.digest, 0
        while keys := await self._pages_after(position, most=PAGES_AT_ONCE):
            bodies = await asyncio.gather(*(self._read(key) for key in keys))
            pages = []
            for body in bodies:
                page = self._next_page(body, position, digest)
                position, digest = page.position, digest_of(body)
                pages.append(page)
            entries += await self._bury(pages)
        if position > head.position:
            await self._sweep()
            log.warning("journal_replayed", schema=self.schema, position=position, entries=entries)
        await self._note(position, digest)
        return entries

    def _next_page(self, body: bytes, position: int, digest: str) -> JournalPage:
        page = JournalPage.decoded(body)
        if page.schema != self.schema or page.position != position + 1:
            raise JournalBroken(f"page {position + 1} of {self.schema} is missing")
        if page.previous != digest:
            raise JournalBroken(f"page {page.position} of {page.schema} does not continue the one before")
        if page.key != self._key:
            raise JournalBroken(f"page {page.position} of {page.schema} was written with another key")
        return page

    async def _bury(self, pages: Sequence[JournalPage]) -> int:
        stones = self._database.tables.tombstones
        rows = [
            {
                "subject_hash": entry.subject,
                "erasure_id": entry.erasure_id,
                "erased_at": entry.erased_at,
                "journal_page": page.position,
            }
            for page in pages
            for entry in page.entries
        ]
        stone = insert(stones)
        stone = stone.on_conflict_do_update(
            index_elements=[stones.c.subject_hash], set_={"journal_page": stone.excluded.journal_page}
        )
        async with self._database.unit_of_work() as uow:
            if rows:
                await uow.session.execute(stone, rows)
        return len(rows)

    async def _head(self) -> _Head:
        table = self._database.tables.journal_head
        row = select(table.c.position, table.c.digest)
        async with self._database.unit_of_work() as uow:
            await uow.session.execute(insert(table).values(one=True).on_conflict_do_nothing())
            return _Head(*(await uow.session.execute(row)).one())

    async def _note(self, position: int, digest: str) -> None:
        table = self._database.tables.journal_head
        noted = update(table).values(
            position=position, digest=digest, incarnation=incarnation_of(self._database)
        )
        async with self._database.one_statement() as session:
            # Whoever has sealed a page meanwhile is further.
            await session.execute(noted.where(table.c.position <= position))

    async def _anything_waits(self) -> bool:
        stones, pages = self._database.tables.tombstones, self._database.tables.journal_pages
        waits = exists().where(stones.c.journal_page.is_(None)) | exists(select(pages.c.position))
        async with self._database.read_only() as session:
            return bool(await session.scalar(select(waits)))

    async def _seal(self) -> bool:
        """Make the next page of the tombstones that are on none; False when there are none."""
        async with self._database.unit_of_work() as uow:
            head = await self._locked_head(uow)
            page = await self._new_page(uow.session, head)
            if page is None:
                return False
            body = page.encoded()
            tables = self._database.tables
            await uow.session.execute(insert(tables.journal_pages).values(position=page.position, body=body))
            await uow.session.execute(
                update(tables.journal_head).values(position=page.position, digest=digest_of(body))
            )
        return len(page.entries) == ENTRIES

    async def _locked_head(self, uow: UnitOfWork) -> _Head:
        table = self._database.tables.journal_head
        current = table.c.incarnation == incarnation_of(self._database)
        row = (
            await uow.session.execute(select(table.c.position, table.c.digest, current).with_for_update())
        ).one_or_none()
        if row is None or not row[2]:
            # A page that a restored schema makes could take the place of one that it does not know.
            raise NotAbsorbed
        return _Head(row[0], row[1])

    async def _new_page(self, session: AsyncSession, head: _Head) -> JournalPage | None:
        stones, position = self._database.tables.tombstones, head.position + 1
        free = select(stones.c.subject_hash).where(stones.c.journal_page.is_(None)).limit(ENTRIES)
        found = await session.execute(
            update(stones)
            .where(stones.c.subject_hash.in_(free))
            .values(journal_page=position)
            .returning(stones.c.subject_hash, stones.c.erasure_id, stones.c.erased_at)
        )
        entries = [JournalEntry(*row) for row in found]
        if not entries:
            return None
        previous = head.digest or FIRST_PREVIOUS
        return JournalPage(self.schema, position, self._key, previous, entries)

    async def _sealed(self) -> Sequence[tuple[int, bytes]]:
        pages = self._database.tables.journal_pages
        async with self._database.read_only() as session:
            rows = await session.execute(select(pages.c.position, pages.c.body).order_by(pages.c.position))
        return [(position, body) for position, body in rows]

    async def _store(self, position: int, body: bytes) -> None:
        """Write a page that is not there yet; raises `DatabaseRestored` when another one is."""
        name = self._name(position)
        if there := await self._pages_after(position - 1, most=1):
            if there != [name] or await self._read(name) != body:
                raise DatabaseRestored(f"{self.schema} is older than the erasure journal")
        else:
            await self._objects.upload(name, body, content_type=_TYPE, checksum=True)
        pages = self._database.tables.journal_pages
        async with self._database.one_statement() as session:
            await session.execute(delete(pages).where(pages.c.position == position))

    def _name(self, position: int) -> str:
        # With so many digits the order of the names is that of the pages.
        return f"{self._folder}{position:019}"

    async def _read(self, key: str) -> bytes:
        return await self._objects.download(key, most_bytes=LARGEST_PAGE)

    async def _pages_after(self, position: int, *, most: int) -> list[str]:
        """Return the names of the first pages after a position, in order."""
        return await self._objects.names_after(self._folder, self._name(position), most=most)

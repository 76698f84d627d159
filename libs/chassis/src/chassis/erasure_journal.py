"""The erasure journal of a schema: its tombstones, written once into the object store, outside every backup.

Whoever restores the schema from a backup finds there who was erased since. A schema is open when it is known
to have absorbed all of it; what it was known for ends with the server's start and with the table's file, so a
restored schema is closed, however it was restored. See docs/decisions/0026-the-erasure-journal.md.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis import scripts
from chassis.db import Database
from chassis.driver import statements_of
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
from chassis.journal_statements import JournalStatements
from chassis.object_store import ObjectStore
from chassis.object_store_faults import ObjectExists
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
        self._statements = JournalStatements(database)
        self._one_at_a_time = asyncio.Lock()
        # The caller keeps the event, else nobody is woken.
        self._wake = database.notifications.event(database.tables.tombstones.name)

    async def run(self) -> None:
        """Keep the journal until cancelled; raises `DatabaseRestored` when the schema falls behind it."""
        while True:
            self._wake.clear()
            try:
                async with self._one_at_a_time:
                    current, waits = await self._look()
                    if not current:
                        await self.confirm()
                    if waits:
                        await self._bring()
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
            _, waits = await self._look()
            if waits:
                await self._bring()

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

    async def _look(self) -> tuple[bool, bool]:
        """Tell whether the schema is known to have absorbed the journal, and whether anything waits."""
        async with self._database.read_only() as session:
            [(current, waits)] = await statements_of(session).fetch(self._statements.look, {})
        return bool(current), bool(waits)

    async def _bring(self) -> None:
        """Seal every tombstone that is on no page, and store every page that is not in the store."""
        made: list[tuple[int, bytes]] = []
        alone, entries = True, ENTRIES
        while entries == ENTRIES:
            page, others = await self._seal()
            alone = alone and not others
            entries = len(page.entries) if page else 0
            if page:
                made.append((page.position, page.encoded()))
        # Pages are stored in their order: one that somebody else has made and not stored yet comes first.
        for position, body in made if alone else await self._sealed():
            await self._store(position, body)

    async def _seal(self) -> tuple[JournalPage | None, bool]:
        """Make the next page of the tombstones that are on none, and tell whether other pages wait."""
        tables = self._database.tables
        async with self._database.unit_of_work() as uow:
            rows = await uow.statements.fetch(
                self._statements.take, {"most": ENTRIES}, behind=[scripts.hold_row(tables.journal_head)]
            )
            if not rows or not rows[0]["current"]:
                # A page that a restored schema makes could take the place of one that it does not know.
                raise NotAbsorbed
            head, others = rows[0], bool(rows[0]["others"])
            entries = [
                JournalEntry(row["subject_hash"], row["erasure_id"], row["erased_at"])
                for row in rows
                if row["subject_hash"] is not None
            ]
            if not entries:
                return None, others
            position, previous = head["position"] + 1, head["digest"] or FIRST_PREVIOUS
            page = JournalPage(self.schema, position, self._key, previous, entries)
            body = page.encoded()
            # Both travel with the commit.
            uow.before_commit += [
                scripts.insert_row(tables.journal_pages, {"position": str(position), "body": body}),
                scripts.update_every_row(
                    tables.journal_head, {"position": str(position), "digest": digest_of(body)}
                ),
            ]
        return page, others

    async def _sealed(self) -> Sequence[tuple[int, bytes]]:
        pages = self._database.tables.journal_pages
        async with self._database.read_only() as session:
            rows = await session.execute(select(pages.c.position, pages.c.body).order_by(pages.c.position))
        return [(position, body) for position, body in rows]

    async def _store(self, position: int, body: bytes) -> None:
        """Write a page unless it is there; raises `DatabaseRestored` when another one is."""
        name = self._name(position)
        try:
            await self._objects.upload(name, body, content_type=_TYPE, checksum=True, only_new=True)
        except ObjectExists:
            if await self._read(name) != body:
                raise DatabaseRestored(f"{self.schema} is older than the erasure journal") from None
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

"""Statements of the erasure journal that every erasure runs: built once, each one round trip."""

from sqlalchemy import Integer, bindparam, exists, func, outerjoin, select, true, update

from chassis.db import Database
from chassis.incarnation import incarnation_of
from chassis.prepared import Prepared


class JournalStatements:
    """What looks whether anything waits, and what takes tombstones onto the next page."""

    def __init__(self, database: Database) -> None:
        tables = database.tables
        head, stones, pages = tables.journal_head, tables.tombstones, tables.journal_pages
        current = head.c.incarnation == incarnation_of(database)
        free = stones.c.journal_page.is_(None)
        waits = exists().where(free) | exists(select(pages.c.position))
        known = select(current).scalar_subquery()
        self.look = Prepared(select(func.coalesce(known, False).label("current"), waits.label("waits")))
        some = select(stones.c.subject_hash).where(free).limit(bindparam("most", type_=Integer))
        taken = (
            update(stones)
            .where(stones.c.subject_hash.in_(some), current)
            .values(journal_page=head.c.position + 1)
            .returning(stones.c.subject_hash, stones.c.erasure_id, stones.c.erased_at)
            .cte("taken")
        )
        # A row for each tombstone, or one without a tombstone, each with the head and whether pages wait.
        self.take = Prepared(
            select(
                head.c.position,
                head.c.digest,
                current.label("current"),
                exists(select(pages.c.position)).label("others"),
                *taken.c,
            ).select_from(outerjoin(head, taken, true()))
        )

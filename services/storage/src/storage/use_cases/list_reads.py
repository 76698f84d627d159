"""List who was given the bytes of a photo, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from chassis.db import Database
from chassis.problems import NotFound
from storage.models import PhotoRead
from storage.paging import Place
from storage.repositories import PhotoReads, Photos


@dataclass(frozen=True, slots=True)
class ReadsPage:
    """Some reads, newest first, and where the next page begins, if any."""

    reads: Sequence[PhotoRead]
    following: Place | None


async def list_reads(
    database: Database, *, user_id: UUID, photo_id: UUID, behind: Place | None, page_size: int
) -> ReadsPage:
    """Return the reads of a person's photo behind a place; of one that is gone those that there were.

    Raises `NotFound` for what is not theirs.
    """
    async with database.read_only() as session:
        found = await PhotoReads(session).newest_first(user_id, photo_id, behind=behind, limit=page_size + 1)
    if not found:
        async with database.read_only() as session:
            if await Photos(session).of_person(user_id, photo_id) is None:
                raise NotFound
    shown = found[:page_size]
    more = len(found) > page_size
    return ReadsPage(shown, Place(shown[-1].read_at, shown[-1].id) if more else None)

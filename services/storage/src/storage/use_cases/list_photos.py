"""List a person's photos, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from chassis.db import UnitOfWork
from storage.models import Photo
from storage.paging import Place
from storage.repositories import Photos


@dataclass(frozen=True, slots=True)
class Page:
    """Some photos, newest first, how many there are in all, and where the next page begins, if any."""

    photos: Sequence[Photo]
    total: int
    following: Place | None


async def list_photos(
    uow: UnitOfWork, *, user_id: UUID, pending: bool, begin: Place | int, page_size: int
) -> Page:
    """Return the page behind a place, or behind so many photos; `pending` adds uploads without bytes.

    Counted pages shift when photos come and go in between; what follows a place does not.
    """
    photos = Photos(uow.session)
    found = await photos.newest_first(user_id, pending=pending, begin=begin, limit=page_size + 1)
    shown = found[:page_size]
    more = len(found) > page_size
    return Page(
        photos=shown,
        total=await photos.count_listed(user_id, pending=pending),
        following=Place(shown[-1].created_at, shown[-1].id) if more else None,
    )

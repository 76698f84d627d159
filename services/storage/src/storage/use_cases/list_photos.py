"""List a person's photos."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db import UnitOfWork
from storage.models import Photo
from storage.repositories import Photos


async def list_photos(
    uow: UnitOfWork, *, user_id: UUID, pending: bool, page: int, page_size: int
) -> tuple[Sequence[Photo], int]:
    """Return one page, newest first, and how many photos there are in all; pages count from 1.

    `pending` says whether uploads without bytes are among them.
    """
    return await Photos(uow.session).page(
        user_id, pending=pending, skip=(page - 1) * page_size, limit=page_size
    )

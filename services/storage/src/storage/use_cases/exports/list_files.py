"""List the photos of a person as the files that they are in an archive."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from chassis.db import Database
from storage.exports.manifest import name_of_photo
from storage.repositories import ExportedPhotos

PAGE = 500


async def list_files(database: Database, user_id: UUID) -> AsyncIterator[dict[str, Any]]:
    """Yield each photo that goes into an archive, with the name of its file."""
    after: UUID | None = None
    while True:
        async with database.read_only() as session:
            page = await ExportedPhotos(session).following(user_id, after=after, limit=PAGE)
        for photo in page:
            yield {"photo_id": photo.id, "file": name_of_photo(photo.id, photo.media_type)}
        if len(page) < PAGE:
            return
        after = page[-1].id

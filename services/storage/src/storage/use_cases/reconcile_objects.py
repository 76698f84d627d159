"""Compare the bucket with the photos, both ways, so that every object is accounted for.

Both sides are read by key, page by page, and walked through together: memory does not grow with the bucket.
What is younger than the cut-off is left alone: an upload, or a deletion, may be under way.
"""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from chassis.db import Database
from chassis.object_entries import ObjectEntry
from storage.policy import Rendition
from storage.repositories import Photos
from storage.repositories.photos import KeptPhoto
from storage.vault import Vault

PAGE = 1000
MOST_NAMED = 100
MOST_REMOVED_UNASKED = 1000
_RENDITIONS: Final = "|".join(Rendition)
# A folder of a person, of a photo, and of an attempt, which early photos have none of.
_OF_A_PHOTO = re.compile(rf"[0-9a-f]{{64}}/[0-9a-f-]{{36}}/(?:\d+/)?(?:{_RENDITIONS})")
# What has arrived of a photo that comes in pieces; it is there as long as the photo is begun.
_OF_A_BEGUN_PHOTO = re.compile(r"[0-9a-f]{64}/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/parts/.+")

log = structlog.get_logger(__name__)


@dataclass
class BucketReport:
    """What was found: photos with bytes, versions of objects, and what does not belong together.

    `orphans` are versions without a photo, `removed` those of them that were destroyed, `missing` objects
    that photos have lost, of which the first photos are `named`, and `others` what is none of a photo's.
    """

    photos: int = 0
    objects: int = 0
    orphans: int = 0
    removed: int = 0
    missing: int = 0
    others: int = 0
    named: list[UUID] = field(default_factory=list)

    @property
    def in_order(self) -> bool:
        """Whether each photo has its objects, and each object its photo."""
        return not self.missing and self.orphans == self.removed


Tell = Callable[[BucketReport], None]


@dataclass(frozen=True)
class _Expected:
    key: str
    photo: KeptPhoto


async def reconcile_objects(
    database: Database,
    vault: Vault,
    *,
    settled_by: datetime,
    most_removed: int | None = MOST_REMOVED_UNASKED,
    tell: Tell = lambda _: None,
) -> BucketReport:
    """Remove objects without a photo and name photos without their objects, both older than `settled_by`.

    At most `most_removed` are removed, none with 0 and all with None: where the rows are those of another
    bucket, nearly every object looks like an orphan. Raises what the object store raises.
    """
    await vault.check()
    return await _Comparison(database, vault, settled_by, most_removed, tell).run()


class _Comparison:
    def __init__(
        self, database: Database, vault: Vault, settled_by: datetime, most_removed: int | None, tell: Tell
    ) -> None:
        self._database = database
        self._vault = vault
        self._settled_by = settled_by
        self._most_removed = most_removed
        self._tell = tell
        self._report = BucketReport()
        self._orphans: list[ObjectEntry] = []

    async def run(self) -> BucketReport:
        """Walk through both sides in step."""
        expected = self._expected()
        wanted = await anext(expected, None)
        met = ""
        async for entry in self._vault.entries():
            await self._count()
            while wanted is not None and wanted.key < entry.key:
                await self._missing(wanted)
                wanted = await anext(expected, None)
            if wanted is not None and wanted.key == entry.key:
                met, wanted = entry.key, await anext(expected, None)
            elif entry.key != met:
                self._unexpected(entry)
        while wanted is not None:
            await self._missing(wanted)
            wanted = await anext(expected, None)
        await self._remove()
        self._tell(self._report)
        return self._report

    async def _expected(self) -> AsyncIterator[_Expected]:
        """Yield the keys that photos with bytes need, by key."""
        after = ""
        while page := await self._page(after):
            for photo in page:
                self._report.photos += 1
                # The original of a folder comes right before its thumbnail.
                folder = photo.s3_key.removesuffix(Rendition.ORIGINAL)
                for rendition in (Rendition.ORIGINAL, Rendition.THUMBNAIL):
                    yield _Expected(f"{folder}{rendition}", photo)
            after = page[-1].s3_key

    async def _page(self, after: str) -> Sequence[KeptPhoto]:
        async with self._database.read_only() as session:
            return await Photos(session).kept_after(after, limit=PAGE)

    async def _count(self) -> None:
        self._report.objects += 1
        if self._report.objects % PAGE == 0:
            await self._remove()
            self._tell(self._report)

    def _unexpected(self, entry: ObjectEntry) -> None:
        if not _OF_A_PHOTO.fullmatch(entry.key) and not _OF_A_BEGUN_PHOTO.fullmatch(entry.key):
            self._report.others += 1
        elif entry.written_at <= self._settled_by:
            self._orphans.append(entry)

    async def _missing(self, wanted: _Expected) -> None:
        photo = wanted.photo
        if photo.lost_at is not None or photo.received_at > self._settled_by:
            return
        if len(self._report.named) < MOST_NAMED:
            # What was deleted while the bucket was listed is not lost.
            async with self._database.read_only() as session:
                still = await Photos(session).kept_under([photo.s3_key])
            if not still or await self._vault.is_there(wanted.key):
                return
            if photo.id not in self._report.named:
                self._report.named.append(photo.id)
                log.error("photo_without_its_object", photo_id=str(photo.id))
        self._report.missing += 1

    async def _remove(self) -> None:
        """Destroy the orphans that were found, unless a photo has come to need one of them."""
        orphans, self._orphans = self._orphans, []
        if not orphans:
            return
        orphans = await self._without_a_photo(orphans)
        self._report.orphans += len(orphans)
        if self._most_removed is not None:
            orphans = orphans[: self._most_removed - self._report.removed]
        await self._destroy(orphans)

    async def _without_a_photo(self, found: Sequence[ObjectEntry]) -> list[ObjectEntry]:
        """Return those that no photo has, or is made of, by now."""
        parts = {it.key: UUID(part[1]) for it in found if (part := _OF_A_BEGUN_PHOTO.fullmatch(it.key))}
        originals = {it.key: _original_beside(it.key) for it in found if it.key not in parts}
        async with self._database.read_only() as session:
            kept = set(await Photos(session).kept_under(list(originals.values())))
        async with self._database.read_only() as session:
            begun = set(await Photos(session).begun_among(list(parts.values())))
        return [it for it in found if originals.get(it.key) not in kept and parts.get(it.key) not in begun]

    async def _destroy(self, orphans: Sequence[ObjectEntry]) -> None:
        if orphans:
            await self._vault.remove(orphans)
            self._report.removed += len(orphans)


def _original_beside(key: str) -> str:
    return f"{key.rpartition('/')[0]}/{Rendition.ORIGINAL}"

"""Checkpoints in the object store, each under its size, in a bucket that keeps every version.

The service's identity there may add and read, and delete nothing: what was written once stays to be read,
whatever is written over it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from chassis.object_store import ObjectStore, ObjectStoreSettings, open_object_store
from consent.settings import ArchiveSettings
from consent.transparency.note import LARGEST_NOTE

FOLDER = "checkpoints/"
_TYPE = "text/plain; charset=utf-8"


class CheckpointArchive:
    """The checkpoints as objects; calls raise what `ObjectStore` raises."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: ArchiveSettings) -> AsyncIterator[Self]:
        """Open the archive that the settings name; it connects at its first call."""
        store = ObjectStoreSettings(
            endpoint_url=settings.s3_endpoint_url,
            access_key=settings.s3_access_key.get_secret_value(),
            secret_key=settings.s3_secret_key.get_secret_value(),
            bucket=settings.s3_bucket,
            region=settings.s3_region,
        )
        async with open_object_store(store) as objects:
            yield cls(objects)

    async def add(self, size: int, note: str) -> None:
        """Write the checkpoint of so many leaves; writing it again adds a version that says the same."""
        # With so many digits the order of the names is that of the sizes.
        await self._objects.upload(f"{FOLDER}{size:019}", note.encode(), content_type=_TYPE)

    async def notes(self) -> AsyncIterator[tuple[str, str]]:
        """Yield the name and the text of every version of every checkpoint, the smallest trees first."""
        async for key, version in self._objects.versions(FOLDER):
            body = await self._objects.download(key, version=version, most_bytes=LARGEST_NOTE)
            yield f"{key} (version {version})", body.decode("utf-8", "replace")

    async def sizes(self) -> set[int]:
        """Return of which sizes there is a checkpoint, without reading one."""
        names = [key.removeprefix(FOLDER) async for key, _ in self._objects.versions(FOLDER)]
        return {int(name) for name in names if name.isdigit()}

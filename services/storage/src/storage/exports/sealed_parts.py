"""Pieces of exports in the bucket: each sealed under a key of its own, in the folder of its person.

A person's data key is the root of all of them, so what is left of an export is unreadable when that is gone,
and lies under the prefix that their erasure empties.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from chassis.object_store import ObjectStore
from chassis.sealing import derived_key, joined
from storage.exports.streaming_aead import open_stream, seal_stream
from storage.vault import Vault

PART_BYTES = 4 * 1024 * 1024
"""How much is sealed at once; a part is as much larger as the last piece that was put into it."""
LARGEST_PART = 16 * 1024 * 1024
_KEY = b"irisvue/export-part-key/1"
_PART = b"irisvue/export-part/1"


def folder_of(person_folder: str, export_id: UUID) -> str:
    """Return the prefix of everything of one export."""
    return f"{person_folder}exports/{export_id}/"


def folder_of_archive(folder: str, version: int) -> str:
    """Return the prefix of the parts of one version of the archive."""
    return f"{folder}archive/{version}/"


def folder_of_section(folder: str, service: str, attempt: UUID) -> str:
    """Return the prefix of the parts of a section, as one attempt has written it."""
    return f"{folder}sections/{service}/{attempt}/"


class SealedParts:
    """Writes and reads parts for whoever holds the person's data key for a while."""

    def __init__(self, objects: ObjectStore, data_key: bytes) -> None:
        self._objects = objects
        self._data_key = data_key

    async def write(self, folder: str, name: UUID | int, plain: bytes) -> None:
        """Seal a part and put it into a folder under that name."""
        key = f"{folder}{name}"
        # Ten milliseconds on the loop: each thread that sealed would keep some parts' worth of memory.
        sealed = seal_stream(plain, key=self._key_of(key), context=joined(_PART, key))
        await self._objects.upload(key, sealed)

    async def read(self, folder: str, name: UUID | int) -> bytes:
        """Read and open a part; raises `SealBroken` and what the store raises."""
        key = f"{folder}{name}"
        sealed = await self._objects.download(key, most_bytes=LARGEST_PART)
        return open_stream(sealed, key=self._key_of(key), context=joined(_PART, key))

    async def read_all(self, folder: str, names: Sequence[UUID | int]) -> AsyncIterator[bytes]:
        """Yield the content of parts, in order."""
        for name in names:
            yield await self.read(folder, name)

    def _key_of(self, key: str) -> bytes:
        return derived_key(self._data_key, joined(_KEY, key))


@dataclass(frozen=True, slots=True)
class ExportStore:
    """Where the parts of exports lie, and whose keys seal them."""

    objects: ObjectStore
    vault: Vault

    def folder(self, user_id: UUID, export_id: UUID) -> str:
        """Return the prefix of everything of one export."""
        return folder_of(self.vault.folder_of_person(user_id), export_id)

    async def opened_for(self, user_id: UUID) -> SealedParts:
        """Return what writes and reads the person's parts; raises `PersonErased`.

        It holds the key: whoever goes on for long asks again, so that an erasure bites.
        """
        return SealedParts(self.objects, await self.vault.open_key(user_id))

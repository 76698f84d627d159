"""Where pictures are kept: sealed under their owner's data key, in a folder that names nobody.

Everything of a person lies under one prefix for each folder key, a keyed hash of their id, so that all of it
can be found and destroyed without a list; everything of a photo lies in one folder below one of them.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from chassis.db import Database
from chassis.object_entries import ObjectEntry
from chassis.object_store import Admit, ObjectStore
from chassis.object_store_faults import ObjectNotFound
from chassis.problems import PersonErased, ServiceUnavailable, describe
from chassis.transactions import outside_transactions
from storage.folder_keys import FolderKeys
from storage.models import Photo
from storage.parts import Part, folder_of_parts
from storage.policy import Rendition
from storage.repositories import DataKeys
from storage.sealing import (
    KeyEncryption,
    KeyOwner,
    KeyUnusable,
    ObjectLabel,
    WrappedKey,
    new_data_key,
    seal,
    unseal,
)
from storage.subject_slots import LARGEST_OVERHEAD, content_type_of, open_sealed, overhead_of, seal_for

LARGEST_OBJECT = 32 * 1024 * 1024 + LARGEST_OVERHEAD

log = structlog.get_logger(__name__)


class KeyMissing(Exception):
    """The person has no data key, so nothing of theirs can be read."""


@dataclass(frozen=True, slots=True)
class PhotoLocation:
    """What is needed to find and open the objects of one photo.

    `version` is the upload attempt, and `folder` is that attempt's own: what an abandoned attempt still
    writes can't meet what another one has written.
    """

    owner: UUID
    photo_id: UUID
    version: int
    folder: str

    @classmethod
    def of(cls, photo: Photo) -> "PhotoLocation":
        """Return where the bytes of a photo are that has received them."""
        folder = photo.s3_key.rpartition("/")[0] + "/"
        return cls(photo.user_id, photo.id, photo.sealed_version or 0, folder)

    @classmethod
    def of_attempt(cls, photo: Photo) -> "PhotoLocation":
        """Return where the newest upload attempt of a photo writes: in the folder that the photo began in."""
        version = photo.upload_attempts
        return cls(photo.user_id, photo.id, version, f"{photo.folder}{version}/")

    @property
    def folder_of_parts(self) -> str:
        """The prefix of the parts of an upload that has not arrived whole."""
        return folder_of_parts(self.folder.removesuffix(f"{self.version}/"))

    def key(self, rendition: Rendition) -> str:
        """Return the object key of one rendition."""
        return f"{self.folder}{rendition}"

    def label(self, rendition: Rendition) -> ObjectLabel:
        """Return what one rendition is sealed as."""
        return ObjectLabel(self.owner, f"{self.photo_id}/{rendition}", self.version)


class Vault:
    """Sealed pictures and the keys that open them."""

    def __init__(
        self,
        *,
        objects: ObjectStore,
        keyring: Database,
        encryption: KeyEncryption,
        folder_keys: FolderKeys,
        subject_slots: bool,
    ) -> None:
        self._objects = objects
        self._keyring = keyring
        self._encryption = encryption
        self._folder_keys = folder_keys
        self._subject_slots = subject_slots

    def folder_of_person(self, user_id: UUID) -> str:
        """Return the prefix of what is new of a person; without the key it leads to nobody."""
        return self._folder_keys.folder(user_id)

    def folders_of_people(self, *user_ids: UUID) -> list[str]:
        """Return every prefix under which something of these people may lie."""
        return [folder for user_id in user_ids for folder in self._folder_keys.folders(user_id)]

    def folder_of_photo(self, user_id: UUID, photo_id: UUID) -> str:
        """Return the prefix of everything of a photo that is new."""
        return f"{self.folder_of_person(user_id)}{photo_id}/"

    def folders_of_photo(self, user_id: UUID, photo_id: UUID) -> list[str]:
        """Return every prefix under which something of a photo may lie."""
        return [f"{folder}{photo_id}/" for folder in self.folders_of_people(user_id)]

    def locate(self, user_id: UUID, photo_id: UUID, *, version: int) -> PhotoLocation:
        """Return where an upload attempt of a new photo writes."""
        return PhotoLocation(
            user_id, photo_id, version, f"{self.folder_of_photo(user_id, photo_id)}{version}/"
        )

    async def open_key(self, user_id: UUID) -> bytes:
        """Return the person's data key, made now if there is none.

        Raises `PersonErased`; when the key provider is away or refuses, what is answered with 503.
        """
        owner = self._owner(user_id)
        wrapped = await self._find_key(owner)
        try:
            return await self._unwrapped(wrapped or await self._make_key(user_id), owner)
        except KeyUnusable as error:
            log.error("data_key_can_not_be_used", error=describe(error))
            raise ServiceUnavailable from error

    def _owner(self, user_id: UUID) -> KeyOwner:
        return KeyOwner(self._keyring.person_hash(user_id), user_id)

    async def _make_key(self, user_id: UUID) -> WrappedKey | None:
        owner = self._owner(user_id)
        outside_transactions("wrapping a data key")
        fresh = await self._encryption.wrap(new_data_key(), owner=owner)
        async with self._keyring.unit_of_work() as uow:
            # Who was erased while the key was wrapped gets none.
            await uow.lock_subject(user_id)
            await DataKeys(uow.session).add(owner.pseudonym, fresh)
        # Somebody else may have been faster; theirs is then the key of this person.
        return await self._find_key(owner)

    async def _find_key(self, owner: KeyOwner) -> WrappedKey | None:
        async with self._keyring.read_only() as session:
            holder = await DataKeys(session).look_at(owner.pseudonym)
        if holder.erased:
            raise PersonErased
        return holder.key

    async def _existing_key(self, user_id: UUID) -> bytes:
        owner = self._owner(user_id)
        return await self._unwrapped(await self._find_key(owner), owner)

    async def _unwrapped(self, wrapped: WrappedKey | None, owner: KeyOwner) -> bytes:
        # Asked anew each time, and kept nowhere: what is erased in the keyring is in no memory either.
        if wrapped is None:
            raise KeyMissing
        outside_transactions("unwrapping a data key")
        return await self._encryption.unwrap(wrapped, owner=owner)

    async def destroy_keys(self, user_ids: Sequence[UUID]) -> None:
        """Delete the data keys of these people for good: none can be made for them again."""
        async with self._keyring.unit_of_work() as uow:
            await uow.add_tombstone(*user_ids)
            await DataKeys(uow.session).destroy([self._keyring.person_hash(user_id) for user_id in user_ids])

    async def destroy_buried_keys(self) -> None:
        """Delete the data keys that a restore has brought back although they were destroyed for good."""
        async with self._keyring.one_statement() as session:
            await DataKeys(session).destroy_buried()

    async def count_keys(self, user_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return 1 for everybody who has a data key, else 0."""
        owners = {user_id: self._keyring.person_hash(user_id) for user_id in user_ids}
        async with self._keyring.read_only() as session:
            found = await DataKeys(session).owners_among(owners.values())
        return {user_id: int(owner in found) for user_id, owner in owners.items()}

    async def put(self, photo: PhotoLocation, renditions: dict[Rendition, bytes]) -> None:
        """Seal and write every rendition; raises what `open_key` and the object store raise."""
        data_key = await self.open_key(photo.owner)
        for rendition, plain in renditions.items():
            sealed = self._seal(plain, data_key=data_key, label=photo.label(rendition))
            await self._objects.upload(photo.key(rendition), sealed, content_type=content_type_of(sealed))

    def _seal(self, plain: bytes, *, data_key: bytes, label: ObjectLabel) -> bytes:
        if self._subject_slots:
            return seal_for(plain, data_keys={label.owner: data_key}, label=label)
        # Processes of an earlier release, which may run beside this one, read no other format.
        return seal(plain, data_key=data_key, label=label)

    async def get(self, photo: PhotoLocation, rendition: Rendition, *, admit: Admit | None = None) -> bytes:
        """Read and open one rendition; `admit` is told its size before any of it is in memory.

        Raises `PersonErased`, `KeyMissing`, `KeyServiceUnavailable`, a `SealingError`, and what `admit` and
        the object store raise.
        """
        data_key = await self._existing_key(photo.owner)
        sealed = await self._objects.download(photo.key(rendition), most_bytes=LARGEST_OBJECT, admit=admit)
        return open_sealed(sealed, data_key=data_key, label=photo.label(rendition))

    async def put_part(self, part: Part, plain: bytes) -> None:
        """Seal and write one part; raises `PersonErased` or what the object store raises."""
        data_key = await self.open_key(part.owner)
        await self._objects.upload(part.key, seal(plain, data_key=data_key, label=part.label))

    async def get_parts(self, parts: Sequence[Part], *, admit: Admit) -> list[bytes]:
        """Read and open parts, in order; raises what `get` raises."""
        opened: list[bytes] = []
        data_key = await self._existing_key(parts[0].owner) if parts else b""
        for part in parts:
            sealed = await self._objects.download(part.key, most_bytes=LARGEST_OBJECT, admit=admit)
            opened.append(unseal(sealed, data_key=data_key, label=part.label))
        return opened

    async def measure(self, photo: PhotoLocation, rendition: Rendition) -> int:
        """Return how many bytes one rendition has when it is open; raises what `get` raises for its key.

        The key is tried as well, so that this promises nothing that reading could not keep.
        """
        await self._existing_key(photo.owner)
        size, content_type = await self._objects.describe(photo.key(rendition))
        return size - overhead_of(content_type)

    async def empty(self, folder: str) -> None:
        """Destroy everything under a folder: versions, delete markers and unfinished uploads too."""
        await self._objects.delete_everything(folder)

    async def empty_people(self, user_ids: Sequence[UUID]) -> None:
        """Destroy everything of these people likewise; whoever calls looks again."""
        await self._objects.delete_everything(*self.folders_of_people(*user_ids), look_again=False)

    async def empty_person_but(self, user_id: UUID, photo_ids: Sequence[UUID]) -> None:
        """Destroy everything of a person but what lies in the folders of these photos."""
        kept = {folder for photo_id in photo_ids for folder in self.folders_of_photo(user_id, photo_id)}
        there = [await self._objects.folders(folder) for folder in self.folders_of_people(user_id)]
        others = set[str]().union(*there) - kept
        if others:
            await self._objects.delete_everything(*sorted(others))

    async def count_objects_of(self, user_id: UUID, photo_ids: Sequence[UUID]) -> int:
        """Return how many objects of every kind the store lists under the folders of these photos."""
        if not photo_ids:
            return 0
        folders = [it for photo_id in photo_ids for it in self.folders_of_photo(user_id, photo_id)]
        return sum(inventory.total for inventory in await self._objects.inventory(*folders))

    async def count_objects(self, user_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return how many objects of every kind the store lists under each person's folder."""
        found = await self._objects.inventory(*self.folders_of_people(*user_ids))
        each = len(found) // max(len(user_ids), 1)
        totals = (sum(it.total for it in found[at : at + each]) for at in range(0, len(found), each or 1))
        return dict(zip(user_ids, totals, strict=True))

    def entries(self) -> AsyncIterator[ObjectEntry]:
        """Yield everything that the bucket holds, by key."""
        return self._objects.everything()

    async def remove(self, entries: Sequence[ObjectEntry]) -> None:
        """Destroy exactly these versions, at most a thousand."""
        await self._objects.remove(entries)

    async def is_there(self, key: str) -> bool:
        """Tell whether the bucket has an object of that key now."""
        try:
            await self._objects.describe(key)
        except ObjectNotFound:
            return False
        return True

    async def check(self) -> None:
        """Prove that the bucket answers."""
        await self._objects.check()

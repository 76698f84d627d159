"""Where pictures are kept: sealed under their owner's data key, in a folder that names nobody.

Everything of a person lies under one prefix, a keyed hash of their id, so that all of it can be found and
destroyed without a list; everything of a photo lies in one folder below that.
"""

import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

from chassis.db import Database
from storage.object_store import Inventory, ObjectStore
from storage.policy import Rendition
from storage.repositories import DataKeys
from storage.sealing import SEAL_OVERHEAD, KeyEncryption, ObjectLabel, new_data_key, seal, unseal

LARGEST_OBJECT = 32 * 1024 * 1024 + SEAL_OVERHEAD


class KeyMissing(Exception):
    """The person has no data key, so nothing of theirs can be read."""


@dataclass(frozen=True, slots=True)
class PhotoLocation:
    """What is needed to find and open the objects of one photo; `version` is the upload attempt."""

    owner: UUID
    photo_id: UUID
    version: int

    def label(self, rendition: Rendition) -> ObjectLabel:
        """Return what one rendition is sealed as."""
        return ObjectLabel(self.owner, f"{self.photo_id}/{rendition}", self.version)


class Vault:
    """Sealed pictures and the keys that open them."""

    def __init__(
        self, *, objects: ObjectStore, keyring: Database, encryption: KeyEncryption, folder_key: bytes
    ) -> None:
        self._objects = objects
        self._keyring = keyring
        self._encryption = encryption
        self._folder_key = folder_key

    def folder_of_person(self, user_id: UUID) -> str:
        """Return the prefix of everything of a person; without the key it leads to nobody."""
        return f"{hmac.new(self._folder_key, user_id.bytes, hashlib.sha256).hexdigest()}/"

    def folder_of_photo(self, user_id: UUID, photo_id: UUID) -> str:
        """Return the prefix of everything of one photo."""
        return f"{self.folder_of_person(user_id)}{photo_id}/"

    def key_of(self, photo: PhotoLocation, rendition: Rendition) -> str:
        """Return the object key of one rendition."""
        return f"{self.folder_of_photo(photo.owner, photo.photo_id)}{rendition}"

    async def open_key(self, user_id: UUID) -> bytes:
        """Return the person's data key, made now if there is none; raises `PersonErased`."""
        async with self._keyring.unit_of_work() as uow:
            await uow.about(user_id)
            keys, owner = DataKeys(uow.session), self._keyring.person_hash(user_id)
            wrapped = await keys.find(owner)
            if wrapped is None:
                await keys.add(owner, await self._encryption.wrap(new_data_key(), owner=user_id))
                # Somebody else may have been faster; theirs is then the key of this person.
                wrapped = await keys.find(owner)
        if wrapped is None:
            raise KeyMissing
        return await self._encryption.unwrap(wrapped, owner=user_id)

    async def destroy_key(self, user_id: UUID) -> None:
        """Delete the person's data key for good: none can be made for them again."""
        async with self._keyring.unit_of_work() as uow:
            await uow.bury(user_id)
            await DataKeys(uow.session).destroy(self._keyring.person_hash(user_id))

    async def count_keys(self, user_id: UUID) -> int:
        """Return 1 when the person has a data key, else 0."""
        async with self._keyring.unit_of_work() as uow:
            return await DataKeys(uow.session).count(self._keyring.person_hash(user_id))

    async def put(self, photo: PhotoLocation, renditions: dict[Rendition, bytes]) -> None:
        """Seal and write every rendition; raises `PersonErased` or what the object store raises."""
        data_key = await self.open_key(photo.owner)
        for rendition, plain in renditions.items():
            sealed = seal(plain, data_key=data_key, label=photo.label(rendition))
            await self._objects.upload(self.key_of(photo, rendition), sealed)

    async def get(self, photo: PhotoLocation, rendition: Rendition) -> bytes:
        """Read and open one rendition; raises `KeyMissing`, `SealBroken` or what the object store raises."""
        async with self._keyring.unit_of_work() as uow:
            wrapped = await DataKeys(uow.session).find(self._keyring.person_hash(photo.owner))
        if wrapped is None:
            raise KeyMissing
        data_key = await self._encryption.unwrap(wrapped, owner=photo.owner)
        sealed = await self._objects.download(self.key_of(photo, rendition), most_bytes=LARGEST_OBJECT)
        return unseal(sealed, data_key=data_key, label=photo.label(rendition))

    async def empty(self, folder: str) -> None:
        """Destroy everything under a folder: versions, delete markers and unfinished uploads too."""
        await self._objects.delete_everything(folder)

    async def inventory(self, user_id: UUID) -> Inventory:
        """Count what the store lists under a person's folder."""
        return await self._objects.inventory(self.folder_of_person(user_id))

    async def check(self) -> None:
        """Prove that the bucket answers."""
        await self._objects.check()

"""Where pictures are kept: sealed under their owner's data key, in a folder that names nobody.

Everything of a person lies under one prefix, a keyed hash of their id, so that all of it can be found and
destroyed without a list; everything of a photo lies in one folder below that.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from chassis.db import Database
from chassis.object_store import Admit, ObjectStore
from chassis.problems import PersonErased
from chassis.sealing import SEAL_OVERHEAD
from chassis.transactions import outside_transactions
from storage.models import Photo
from storage.policy import Rendition
from storage.repositories import DataKeys
from storage.sealing import (
    KeyEncryption,
    ObjectLabel,
    WrappedKey,
    new_data_key,
    seal,
    unseal,
)

LARGEST_OBJECT = 32 * 1024 * 1024 + SEAL_OVERHEAD


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

    def key(self, rendition: Rendition) -> str:
        """Return the object key of one rendition."""
        return f"{self.folder}{rendition}"

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

    def locate(self, user_id: UUID, photo_id: UUID, *, version: int) -> PhotoLocation:
        """Return where an upload attempt writes."""
        return PhotoLocation(
            user_id, photo_id, version, f"{self.folder_of_photo(user_id, photo_id)}{version}/"
        )

    async def open_key(self, user_id: UUID) -> bytes:
        """Return the person's data key, made now if there is none; raises `PersonErased`."""
        wrapped = await self._find_key(user_id)
        if wrapped is None:
            outside_transactions("wrapping a data key")
            fresh = await self._encryption.wrap(new_data_key(), owner=user_id)
            async with self._keyring.unit_of_work() as uow:
                await uow.lock_subject(user_id)
                await DataKeys(uow.session).add(self._keyring.person_hash(user_id), fresh)
            # Somebody else may have been faster; theirs is then the key of this person.
            wrapped = await self._find_key(user_id)
        return await self._unwrapped(wrapped, user_id)

    async def _find_key(self, user_id: UUID) -> WrappedKey | None:
        async with self._keyring.read_only() as session:
            holder = await DataKeys(session).look_at(self._keyring.person_hash(user_id))
        if holder.erased:
            raise PersonErased
        return holder.key

    async def _existing_key(self, user_id: UUID) -> bytes:
        return await self._unwrapped(await self._find_key(user_id), user_id)

    async def _unwrapped(self, wrapped: WrappedKey | None, user_id: UUID) -> bytes:
        if wrapped is None:
            raise KeyMissing
        outside_transactions("unwrapping a data key")
        return await self._encryption.unwrap(wrapped, owner=user_id)

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
        """Seal and write every rendition; raises `PersonErased` or what the object store raises."""
        data_key = await self.open_key(photo.owner)
        for rendition, plain in renditions.items():
            sealed = seal(plain, data_key=data_key, label=photo.label(rendition))
            await self._objects.upload(photo.key(rendition), sealed)

    async def get(self, photo: PhotoLocation, rendition: Rendition, *, admit: Admit | None = None) -> bytes:
        """Read and open one rendition; `admit` is told its size before any of it is in memory.

        Raises `PersonErased`, `KeyMissing`, a `SealingError`, and what `admit` and the object store raise.
        """
        data_key = await self._existing_key(photo.owner)
        sealed = await self._objects.download(photo.key(rendition), most_bytes=LARGEST_OBJECT, admit=admit)
        return unseal(sealed, data_key=data_key, label=photo.label(rendition))

    async def measure(self, photo: PhotoLocation, rendition: Rendition) -> int:
        """Return how many bytes one rendition has when it is open; raises what `get` raises for its key.

        The key is tried as well, so that this promises nothing that reading could not keep.
        """
        await self._existing_key(photo.owner)
        return await self._objects.size(photo.key(rendition)) - SEAL_OVERHEAD

    async def empty(self, folder: str) -> None:
        """Destroy everything under a folder: versions, delete markers and unfinished uploads too."""
        await self._objects.delete_everything(folder)

    async def empty_people(self, user_ids: Sequence[UUID]) -> None:
        """Destroy everything of these people likewise."""
        await self._objects.delete_everything(*map(self.folder_of_person, user_ids))

    async def count_objects(self, user_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return how many objects of every kind the store lists under each person's folder."""
        found = await self._objects.inventory(*map(self.folder_of_person, user_ids))
        return {user_id: inventory.total for user_id, inventory in zip(user_ids, found, strict=True)}

    async def check(self) -> None:
        """Prove that the bucket answers."""
        await self._objects.check()

"""S20: what lies in the bucket opens as what it was sealed for, or not at all; a lost key takes it along."""

import random
from uuid import UUID

import pytest
from sqlalchemy import select

from chassis.problems import PersonErased
from chassis.sealing import SealBroken
from storage.models import DataKey, Photo
from storage.policy import Rendition
from storage.sealing import KeyOwner, KeyUnusable, ObjectLabel, WrappedKey, unseal
from storage.vault import PhotoLocation

FLIPS = 60
MOST_BYTES = 10**7


async def location_of(service, photo) -> PhotoLocation:
    async with service.unit_of_work() as uow:
        return PhotoLocation.of(await uow.session.get(Photo, UUID(photo["id"])))


@pytest.fixture
def sealed(service):
    """Return what the bucket has of a photo's original, and where."""

    async def _sealed(photo) -> tuple[PhotoLocation, str, bytes]:
        place = await location_of(service, photo)
        key = place.key(Rendition.ORIGINAL)
        return place, key, await service.vault._objects.download(key, most_bytes=MOST_BYTES)

    return _sealed


async def test_s20_swapped_objects_of_two_people_are_shown_to_neither(
    ada, grace, service, sealed, pictures
) -> None:
    hers, other = await ada.upload(pictures.jpeg()), await grace.upload(pictures.jpeg(60, 40))
    (_, first, of_ada), (_, second, of_grace) = await sealed(hers), await sealed(other)
    await service.vault._objects.upload(first, of_grace)
    await service.vault._objects.upload(second, of_ada)
    for person, photo in ((ada, hers), (grace, other)):
        answer = await person.read(photo["original_url"])
        assert (answer.status_code, answer.json()["type"]) == (410, "urn:irisvue:problem:photo-unavailable")


async def test_s20_swapped_objects_of_one_person_open_neither(ada, service, sealed, pictures) -> None:
    one, two = await ada.upload(pictures.jpeg()), await ada.upload(pictures.jpeg(60, 40))
    (_, first, of_one), (place, second, _) = await sealed(one), await sealed(two)
    await service.vault._objects.upload(second, of_one)
    with pytest.raises(SealBroken):
        await service.vault.get(place, Rendition.ORIGINAL)
    # Nor as another rendition of the same photo.
    thumbnail = (await location_of(service, one)).key(Rendition.THUMBNAIL)
    await service.vault._objects.upload(thumbnail, of_one)
    assert (await ada.read(one["thumbnail_url"])).status_code == 410
    assert first != second


async def test_s20_every_flipped_bit_in_the_bucket_is_noticed(ada, service, sealed, pictures) -> None:
    place, key, stored = await sealed(await ada.upload(pictures.jpeg()))
    chance = random.Random(20)
    for _ in range(FLIPS):
        bit, changed = chance.randrange(len(stored) * 8), bytearray(stored)
        changed[bit // 8] ^= 1 << bit % 8
        await service.vault._objects.upload(key, bytes(changed))
        with pytest.raises(SealBroken):
            await service.vault.get(place, Rendition.ORIGINAL)
    await service.vault._objects.upload(key, stored)
    assert await service.vault.get(place, Rendition.ORIGINAL)


async def test_s20_copy_of_a_ciphertext_opens_with_nothing_that_is_left_without_its_key(
    ada, grace, service, sealed, pictures
) -> None:
    """Every key that is left is tried, under every owner that the keyring names: the copy was made before."""
    await grace.upload(pictures.jpeg())
    photo = await ada.upload(pictures.jpeg())
    place, _, copy = await sealed(photo)
    label = place.label(Rendition.ORIGINAL)
    assert await opened_with_what_is_left(service, copy, label) == 1

    await service.vault.destroy_keys([ada.id])

    assert await opened_with_what_is_left(service, copy, label) == 0
    with pytest.raises(PersonErased):
        await service.vault.get(place, Rendition.ORIGINAL)


async def opened_with_what_is_left(service, copy: bytes, label: ObjectLabel) -> int:
    """Try a copy with every data key of the keyring; return how many open it."""
    vault, opened, tried = service.vault, 0, 0
    async with vault._keyring.read_only() as session:
        rows = (await session.execute(select(DataKey.owner, DataKey.key_id, DataKey.wrapped))).all()
    for owner, key_id, wrapped in rows:
        try:
            data_key = await vault._encryption.unwrap(WrappedKey(key_id, wrapped), owner=KeyOwner(owner))
        except KeyUnusable:
            continue
        tried += 1
        try:
            unseal(copy, data_key=data_key, label=label)
        except SealBroken:
            continue
        opened += 1
    assert tried, "no key could be tried"
    return opened

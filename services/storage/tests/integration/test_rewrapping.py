"""S20: data keys move to another key-encryption key while storage runs; nothing sealed is touched."""

import asyncio
import json
import os
import sys
from uuid import UUID

import pytest
from pydantic import SecretStr

from chassis.holdings import Holdings
from chassis.ids import new_id
from chassis.problems import PersonErased
from chassis.sealing import OlderFormat, SealingKeys, joined
from storage.holdings import HOLDINGS
from storage.key_providers.local import LocalKeyEncryption
from storage.models import Photo
from storage.policy import Rendition
from storage.repositories import DataKeys, StoredKey
from storage.sealing import (
    KeyOwner,
    KeyServiceUnavailable,
    UnknownKeyEncryptionKey,
    WrappedKey,
    new_data_key,
)
from storage.use_cases import rewrap_keys as module
from storage.use_cases.rewrap_keys import Rewrapping, rewrap_keys
from storage.vault import PhotoLocation
from storage.wiring import open_service

KEYS = {"k1": os.urandom(32), "k2": os.urandom(32)}
MANY = 7


def ring(active: str, *names: str) -> LocalKeyEncryption:
    return LocalKeyEncryption(active, {name: KEYS[name] for name in (active, *names)})


@pytest.fixture
def rewrap(service, monkeypatch: pytest.MonkeyPatch):
    """Return a function that moves every data key, two at a time."""
    monkeypatch.setattr(module, "BATCH", 2)

    async def _rewrap(encryption, tell=lambda _: None) -> Rewrapping:
        holdings = Holdings(service, HOLDINGS)
        return await rewrap_keys(
            service.keyring, encryption, people=lambda: holdings.people(at_once=2), tell=tell
        )

    return _rewrap


@pytest.fixture
def keep(service):
    """Return a function that keeps a data key of somebody, wrapped."""

    async def _keep(encryption, user_id) -> bytes:
        data_key, owner = new_data_key(), KeyOwner(service.keyring.person_hash(user_id), user_id)
        async with service.keyring.unit_of_work() as uow:
            await DataKeys(uow.session).add(owner.pseudonym, await encryption.wrap(data_key, owner=owner))
        return data_key

    return _keep


@pytest.fixture
def stored(service):
    """Return a function that tells under which key somebody's data key is, and what it is."""

    async def _stored(encryption, user_id) -> tuple[str, bytes] | None:
        owner = KeyOwner(service.keyring.person_hash(user_id))
        async with service.keyring.read_only() as session:
            key = (await DataKeys(session).look_at(owner.pseudonym)).key
        return None if key is None else (key.key_id, await encryption.unwrap(key, owner=owner))

    return _stored


class WrappedByAnEarlierRelease:
    """Wraps as releases did before a data key could be wrapped anew without its owner's id."""

    async def wrap(self, data_key, *, owner) -> WrappedKey:
        context = joined(b"irisvue/data-key/1", str(owner.user_id), "k1")
        sealing = SealingKeys("k1", [KEYS["k1"]])
        return WrappedKey("k1", sealing.seal(data_key, context=context, older=OlderFormat(context)))


async def test_every_key_moves_and_stays_what_it_is(rewrap, keep, stored) -> None:
    people = {new_id(): None for _ in range(MANY)}
    for user_id in people:
        people[user_id] = await keep(ring("k1"), user_id)
    told = []
    done = await rewrap(ring("k2", "k1"), lambda so_far: told.append(so_far.moved))
    assert (done.active, done.moved, done.left, done.retired) == ("k2", MANY, {}, ["k1"])
    assert told == [2, 4, 6, 7]
    for user_id, data_key in people.items():
        assert await stored(ring("k2"), user_id) == ("k2", data_key)


async def test_repeated_it_moves_nothing(rewrap, keep) -> None:
    await keep(ring("k1"), new_id())
    await rewrap(ring("k2", "k1"))
    done = await rewrap(ring("k2"))
    assert (done.moved, done.left, done.retired) == (0, {}, [])


async def test_ended_in_the_middle_it_goes_on_where_it_stopped(rewrap, keep) -> None:
    for _ in range(MANY):
        await keep(ring("k1"), new_id())
    both, left = ring("k2", "k1"), 3

    class AwayAfterAWhile:
        unwrap = both.unwrap

        async def wrap(self, data_key, *, owner):
            nonlocal left
            left -= owner.pseudonym != "rewrap"
            if left < 0:
                raise KeyServiceUnavailable
            return await both.wrap(data_key, owner=owner)

    with pytest.raises(KeyServiceUnavailable):
        await rewrap(AwayAfterAWhile())
    done = await rewrap(both)
    assert (done.moved, done.before, done.left) == (MANY - 3, {"k1": MANY - 3, "k2": 3}, {})


async def test_a_key_that_is_still_in_use_is_named(rewrap, keep) -> None:
    await keep(ring("k1"), new_id())
    await keep(ring("k2"), new_id())
    done = await rewrap(ring("k2"))
    assert (done.moved, done.left, done.retired) == (0, {"k1": 1}, [])
    assert done.unopened == {"UnknownKeyEncryptionKey": 1}


async def test_an_erased_key_is_not_revived(rewrap, keep, stored, service) -> None:
    erased, living = new_id(), new_id()
    await keep(ring("k1"), erased)
    await keep(ring("k1"), living)
    both = ring("k2", "k1")

    class ErasedMeanwhile:
        wrap = both.wrap

        async def unwrap(self, wrapped, *, owner):
            data_key = await both.unwrap(wrapped, owner=owner)
            await service.vault.destroy_keys([erased])
            return data_key

    done = await rewrap(ErasedMeanwhile())
    assert (done.moved, done.left) == (1, {})
    assert await stored(both, erased) is None
    assert await service.vault.count_keys([erased, living]) == {erased: 0, living: 1}
    with pytest.raises(PersonErased):
        await service.vault.open_key(erased)


async def test_what_somebody_else_has_moved_meanwhile_stays_as_it_is(rewrap, keep, stored, service) -> None:
    person, both = new_id(), ring("k2", "k1")
    data_key = await keep(ring("k1"), person)
    owner = KeyOwner(service.keyring.person_hash(person))
    theirs = await both.wrap(data_key, owner=owner)

    class MovedMeanwhile:
        wrap = both.wrap

        async def unwrap(self, wrapped, *, owner):
            async with service.keyring.one_statement() as session:
                assert await DataKeys(session).replace(StoredKey(owner.pseudonym, wrapped), theirs)
            return await both.unwrap(wrapped, owner=owner)

    done = await rewrap(MovedMeanwhile())
    assert (done.moved, done.left) == (0, {})
    async with service.keyring.read_only() as session:
        assert (await DataKeys(session).look_at(owner.pseudonym)).key == theirs


async def test_what_an_earlier_release_wrapped_moves_with_the_id_of_whoever_has_photos_or_consents(
    rewrap, keep, stored, ada, consent, deliver
) -> None:
    await deliver(consent.grant(ada.id))
    data_key = await keep(WrappedByAnEarlierRelease(), ada.id)
    await keep(WrappedByAnEarlierRelease(), new_id())
    done = await rewrap(ring("k2", "k1"))
    assert await stored(ring("k2"), ada.id) == ("k2", data_key)
    assert (done.moved, done.left, done.retired) == (1, {"k1": 1}, [])


async def test_s20_photos_open_during_a_move_and_after_it(
    settings, clock, ada, pictures, service, rewrap
) -> None:
    photo = await ada.upload(pictures.plain_jpeg())
    async with service.unit_of_work() as uow:
        place = PhotoLocation.of(await uow.session.get(Photo, UUID(photo["id"])))
    given = json.loads(settings.key_encryption_keys.get_secret_value())
    next_ring = {"active": "next", "keys": {**given["keys"], "next": os.urandom(32).hex()}}
    changed = settings.model_copy(update={"key_encryption_keys": SecretStr(json.dumps(next_ring))})
    before = await service.vault.get(place, Rendition.ORIGINAL)
    async with open_service(changed, clock) as later:
        readings = asyncio.gather(*(later.vault.get(place, Rendition.ORIGINAL) for _ in range(20)))
        done = await rewrap(later.key_providers)
        assert set(await readings) == {before}
        assert (done.left, done.retired) == ({}, [given["active"]])
        assert await later.vault.get(place, Rendition.ORIGINAL) == before
    with pytest.raises(UnknownKeyEncryptionKey):
        # Who does not know the new key yet says so, and does not take the photo for lost.
        await service.vault.get(place, Rendition.ORIGINAL)


async def test_command_says_what_it_did_and_which_key_may_be_retired(platform, service, settings) -> None:
    await service.vault.open_key(new_id())
    given = json.loads(settings.key_encryption_keys.get_secret_value())
    old = given["active"]
    next_ring = {"active": "next", "keys": {**given["keys"], "next": os.urandom(32).hex()}}

    async def run(keys: dict[str, object]) -> tuple[int | None, str]:
        environment = platform.environment("storage") | {"STORAGE_KEY_ENCRYPTION_KEYS": json.dumps(keys)}
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "storage", "rewrap", env=environment, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await command.communicate()
        return command.returncode, said.decode()

    status, said = await run(next_ring)
    assert status == 0
    assert "1 data keys were moved to next" in said
    assert f"{old} wraps none any more and may be retired" in said
    status, said = await run({"active": old, "keys": given["keys"]})
    assert status == 1
    assert "next still wraps 1 data keys: keep it" in said
    assert "could not be opened (UnknownKeyEncryptionKey)" in said

"""Envelope encryption: only the right key, owner, object, version and class open a sealed object."""

import json
import os
from dataclasses import replace
from uuid import uuid4

import pytest

from chassis.sealing import SEAL_OVERHEAD, SealBroken
from storage.key_providers.local import LocalKeyEncryption
from storage.key_providers.providers import KeyProviders
from storage.sealing import (
    InvalidKeyEncryptionKeys,
    KeyOwner,
    ObjectLabel,
    UnknownKeyEncryptionKey,
    UnwrapFailed,
    WrappedKey,
    new_data_key,
    seal,
    unseal,
)

PICTURE = os.urandom(1000)


def keyring(active: str = "k1", *names: str) -> LocalKeyEncryption:
    return LocalKeyEncryption(active, {name: os.urandom(32) for name in (active, *names)})


def owner_of_a_key() -> KeyOwner:
    return KeyOwner(os.urandom(32).hex())


def label() -> ObjectLabel:
    return ObjectLabel(owner=uuid4(), object_id=f"{uuid4()}/original", version=1)


def test_a_sealed_object_opens_to_the_same_bytes() -> None:
    key, what = new_data_key(), label()
    sealed = seal(PICTURE, data_key=key, label=what)
    assert unseal(sealed, data_key=key, label=what) == PICTURE
    assert len(sealed) == len(PICTURE) + SEAL_OVERHEAD
    assert PICTURE[:16] not in sealed


def test_sealing_the_same_bytes_twice_gives_different_bytes() -> None:
    key, what = new_data_key(), label()
    assert seal(PICTURE, data_key=key, label=what) != seal(PICTURE, data_key=key, label=what)


@pytest.mark.parametrize("times", [5_000, pytest.param(100_000, marks=pytest.mark.chaos)])
def test_s20_no_nonce_comes_twice(times: int) -> None:
    key, what = new_data_key(), label()
    # Of one key, one label and one text, two sealed objects are equal only where their nonces are.
    assert len({seal(b"", data_key=key, label=what) for _ in range(times)}) == times


def test_every_flipped_bit_is_noticed() -> None:
    key, what = new_data_key(), label()
    sealed = seal(PICTURE[:40], data_key=key, label=what)
    for position in range(len(sealed) * 8):
        broken = bytearray(sealed)
        broken[position // 8] ^= 1 << position % 8
        with pytest.raises(SealBroken):
            unseal(bytes(broken), data_key=key, label=what)


def test_every_cut_is_noticed() -> None:
    key, what = new_data_key(), label()
    sealed = seal(PICTURE[:40], data_key=key, label=what)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            unseal(sealed[:length], data_key=key, label=what)
    with pytest.raises(SealBroken):
        unseal(sealed + b"\x00", data_key=key, label=what)


@pytest.mark.parametrize(
    "change",
    [{"owner": uuid4()}, {"object_id": "another/original"}, {"version": 2}, {"data_class": "export"}],
    ids=["owner", "object", "version", "class"],
)
def test_an_object_under_another_label_does_not_open(change: dict[str, object]) -> None:
    key, what = new_data_key(), label()
    sealed = seal(PICTURE, data_key=key, label=what)
    with pytest.raises(SealBroken):
        unseal(sealed, data_key=key, label=replace(what, **change))


def test_labels_whose_parts_only_join_to_the_same_text_are_different() -> None:
    owner = uuid4()
    first = ObjectLabel(owner, "a", 1, "1b")
    second = ObjectLabel(owner, "a1", 1, "b")
    assert first.associated_data() != second.associated_data()
    assert first.key_info() != second.key_info()


def test_another_persons_data_key_does_not_open_it() -> None:
    what = label()
    sealed = seal(PICTURE, data_key=new_data_key(), label=what)
    with pytest.raises(SealBroken):
        unseal(sealed, data_key=new_data_key(), label=what)


async def test_a_wrapped_key_unwraps_for_its_owner_only() -> None:
    ring, owner, key = keyring(), owner_of_a_key(), new_data_key()
    wrapped = await ring.wrap(key, owner=owner)
    assert await ring.unwrap(wrapped, owner=owner) == key
    assert key not in wrapped.blob
    with pytest.raises(UnwrapFailed):
        await ring.unwrap(wrapped, owner=owner_of_a_key())


async def test_every_flipped_bit_of_a_wrapped_key_is_noticed() -> None:
    ring, owner = keyring(), owner_of_a_key()
    wrapped = await ring.wrap(new_data_key(), owner=owner)
    for position in range(len(wrapped.blob) * 8):
        blob = bytearray(wrapped.blob)
        blob[position // 8] ^= 1 << position % 8
        with pytest.raises(UnwrapFailed):
            await ring.unwrap(replace(wrapped, blob=bytes(blob)), owner=owner)
    for length in range(len(wrapped.blob)):
        with pytest.raises(UnwrapFailed):
            await ring.unwrap(replace(wrapped, blob=wrapped.blob[:length]), owner=owner)


async def test_a_key_wrapped_under_an_older_key_still_unwraps_after_rotation() -> None:
    owner, key = owner_of_a_key(), new_data_key()
    old, new = os.urandom(32), os.urandom(32)
    wrapped = await LocalKeyEncryption("k1", {"k1": old}).wrap(key, owner=owner)
    rotated = LocalKeyEncryption("k2", {"k1": old, "k2": new})
    assert await rotated.unwrap(wrapped, owner=owner) == key
    assert (await rotated.wrap(key, owner=owner)).key_id == "k2"


async def test_a_wrapped_key_renamed_to_another_key_encryption_key_is_refused() -> None:
    ring, owner = keyring("k1", "k2"), owner_of_a_key()
    wrapped = await ring.wrap(new_data_key(), owner=owner)
    with pytest.raises(UnwrapFailed):
        await ring.unwrap(WrappedKey("k2", wrapped.blob), owner=owner)
    with pytest.raises(UnknownKeyEncryptionKey, match="k9"):
        await ring.unwrap(WrappedKey("k9", wrapped.blob), owner=owner)


async def test_the_keyring_setting_is_read() -> None:
    ring = LocalKeyEncryption.parse(json.dumps({"active": "k1", "keys": {"k1": os.urandom(32).hex()}}))
    assert (await ring.wrap(new_data_key(), owner=owner_of_a_key())).key_id == "k1"


@pytest.mark.parametrize(
    "text",
    [
        "not json, secret",
        "[]",
        "{}",
        '{"active":"k1","keys":{}}',
        '{"active":"k1","keys":{"k1":"secret"}}',
        '{"active":"k1","keys":{"k1":"00ff"}}',
        '{"active":"k2","keys":{"k1":"' + "ab" * 32 + '"}}',
        '{"active":"k1","keys":"secret"}',
        '{"active":"k1","keys":{"k1":7}}',
        '{"active":"aws-kms:k","keys":{"aws-kms:k":"' + "ab" * 32 + '"}}',
    ],
)
def test_a_keyring_setting_that_is_not_right_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidKeyEncryptionKeys) as refusal:
        LocalKeyEncryption.parse(text)
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


class Elsewhere:
    """A provider that names its keys as a key service does."""

    async def wrap(self, data_key: bytes, *, owner: KeyOwner) -> WrappedKey:
        return WrappedKey(f"aws-kms:{owner.pseudonym}", data_key[::-1])

    async def unwrap(self, wrapped: WrappedKey, *, owner: KeyOwner) -> bytes:
        assert wrapped.key_id == f"aws-kms:{owner.pseudonym}"
        return wrapped.blob[::-1]


async def test_one_provider_wraps_and_each_unwraps_what_is_its_own() -> None:
    local, owner, key = keyring(), owner_of_a_key(), new_data_key()
    older = await KeyProviders("file", {"file": local}).wrap(key, owner=owner)
    both = KeyProviders("aws-kms", {"file": local, "aws-kms": Elsewhere()})
    newer = await both.wrap(key, owner=owner)
    assert (older.key_id, newer.key_id) == ("k1", f"aws-kms:{owner.pseudonym}")
    assert [await both.unwrap(it, owner=owner) for it in (older, newer)] == [key, key]
    assert both.names == ["aws-kms", "file"]


async def test_a_provider_that_is_not_configured_is_named() -> None:
    alone = KeyProviders("file", {"file": keyring()})
    with pytest.raises(UnknownKeyEncryptionKey, match="STORAGE_VAULT_URL"):
        await alone.unwrap(WrappedKey("vault-transit:transit/irisvue:v1", b"x"), owner=owner_of_a_key())

"""What an earlier release has sealed still opens, and it opens what is sealed today: both run side by side.

The bytes below were written by one.
"""

import asyncio
from types import SimpleNamespace
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_der_private_key

from chassis.idempotency_records import IdempotencyRecord, StoredResponse
from chassis.sealing import SealBroken, SealingKeys, derived_key, joined
from chassis.signing_keys import new_private_key, open_private_key, seal_private_key
from chassis.tables import tables_of
from identity.providers.seal import TokenSeal
from storage.key_providers.local import LocalKeyEncryption
from storage.sealing import KeyOwner, ObjectLabel, OwnerUnknown, UnwrapFailed, WrappedKey, seal, unseal

KEY, NEWER = bytes(range(7, 39)), bytes(range(50, 82))
DATA_KEY = bytes(range(32))
OWNER = UUID(int=5)
KNOWN = KeyOwner("5" * 64, OWNER)
SIGNING_KEY = bytes.fromhex(
    "01f43129d125faa40bfc08bc6675fbd02f985d22e444cdcbb9d1b54a97f88c49068f235367bad84e00ecc5db"
    "1f8f2d921a616e7a0a3fbc7abb6851c1ee5c4e1d7d79fb5fa005cf36bd1ee60c9d6379bf51e703c733a3fbe4"
    "32e2c1efd60ce89d64e72dc5c3de20b3f5f495e58eeadf7b6aa6e1d03ce33de87cb1010cfdd6286ee0d73f7d"
    "66e1aef85cbc523e660bca6357054755105797960b819ce16f7b352789f0d50c5c4b0b"
)
TOKEN = bytes.fromhex("019f467baf1f90c2a52c02d7bb5312199d17d1c2e5834a3eafedb07720b8c722cb2a8086")
WRAPPED = bytes.fromhex(
    "01aecab7f9c94fcc14ac8afe1c2f74d4f50b47e5e4eee4e5267d3f591152859b8d7d7a8d3d697f4f1bd47764"
    "95557ecd04e77825844772034cc363dbd9"
)
PHOTO = bytes.fromhex("49565301018a0a6423938df736cff71a01efa09fc93a5283d39ccc0fb2adc636cbe4e151067a484047db")
ANSWER = bytes.fromhex(
    "b2d9862ae82dc064588451328cd243222a0ffe88361df0a7df231620e76c236c851c29276de776fca7ed1638"
    "1ee675c6cf08063dd687308d2c67a4d3fc3673813bce49b276d8335c56a216cc3313ac0c39782d32051dd5bb"
    "edd253d6ec5b650bb94a580400dba7374549aebad84f2c4d61feae"
)


def sealing(*keys: bytes) -> SealingKeys:
    return SealingKeys("SOME_KEY", [derived_key(key, b"irisvue identity signing keys") for key in keys])


def test_a_signing_key_opens() -> None:
    opened = open_private_key(SIGNING_KEY, kid="a-kid", keys=sealing(NEWER, KEY))
    assert opened.private_numbers().private_value == 4711
    for wrong in ({"kid": "another", "keys": sealing(KEY)}, {"kid": "a-kid", "keys": sealing(NEWER)}):
        with pytest.raises(SealBroken):
            open_private_key(SIGNING_KEY, **wrong)


def test_a_token_of_a_provider_opens() -> None:
    owner = {"user_id": OWNER, "provider": "apple", "client_id": "app"}
    assert TokenSeal([NEWER, KEY]).open(TOKEN, **owner) == "a token"
    with pytest.raises(SealBroken):
        TokenSeal([KEY]).open(TOKEN, **owner | {"client_id": "another"})


def test_a_wrapped_data_key_opens() -> None:
    keys = LocalKeyEncryption("k2", {"k1": KEY, "k2": NEWER})
    assert asyncio.run(keys.unwrap(WrappedKey("k1", WRAPPED), owner=KNOWN)) == DATA_KEY
    with pytest.raises(UnwrapFailed):
        asyncio.run(keys.unwrap(WrappedKey("k2", WRAPPED), owner=KNOWN))
    with pytest.raises(OwnerUnknown):
        asyncio.run(keys.unwrap(WrappedKey("k1", WRAPPED), owner=KeyOwner(KNOWN.pseudonym)))


def test_a_photo_opens_and_has_the_size_that_it_has_today() -> None:
    label = ObjectLabel(OWNER, "p/original", 3)
    assert unseal(PHOTO, data_key=DATA_KEY, label=label) == b"a picture"
    assert len(seal(b"a picture", data_key=DATA_KEY, label=label)) == len(PHOTO)
    with pytest.raises(SealBroken):
        unseal(PHOTO, data_key=DATA_KEY, label=ObjectLabel(OWNER, "p/original", 4))


async def test_a_kept_answer_opens() -> None:
    def secret(purpose: str) -> bytes:
        assert purpose == "idempotency"
        return bytes.fromhex("3ec37406ec431c0387ebad9f54e39a235217206e0cedde8bd2447a7b3e956e05")

    async def stored(_: object) -> bytes:
        return ANSWER

    database = SimpleNamespace(
        subkey=secret, tables=SimpleNamespace(idempotency_keys=tables_of("consent").idempotency_keys)
    )
    record = IdempotencyRecord(database, key="client-key", scope=["POST", "/x"])
    answer = await record.look(SimpleNamespace(scalar=stored))
    assert answer == StoredResponse("digest", 201, (("content-type", "text/plain"),), b"hello")


def opened_by_an_earlier_release(sealed: bytes, header: bytes, key: bytes, associated_data: bytes) -> bytes:
    assert sealed.startswith(header)
    behind = sealed[len(header) :]
    return AESGCM(key).decrypt(behind[:12], behind[12:], associated_data)


def test_an_earlier_release_opens_a_photo_of_today() -> None:
    label = ObjectLabel(OWNER, "p/original", 3)
    header = b"IVS\x01\x01"
    bound = joined(header, str(OWNER), "p/original", "3", "biometric")
    sealed = seal(b"a picture", data_key=DATA_KEY, label=label)
    object_key = derived_key(DATA_KEY, label.key_info())
    assert opened_by_an_earlier_release(sealed, header, object_key, bound) == b"a picture"


def test_an_earlier_release_opens_a_signing_key_of_today() -> None:
    private = new_private_key()
    sealed = seal_private_key(private, kid="a-kid", keys=sealing(KEY))
    secret = derived_key(KEY, b"irisvue identity signing keys")
    opened = load_der_private_key(opened_by_an_earlier_release(sealed, b"\x01", secret, b"a-kid"), None)
    assert opened.private_numbers() == private.private_numbers()


def test_an_earlier_release_opens_a_token_of_today() -> None:
    sealed = TokenSeal([KEY]).seal("a token", user_id=OWNER, provider="apple", client_id="app")
    bound = b"\x00".join((b"\x01", OWNER.bytes, b"apple", b"app"))
    assert opened_by_an_earlier_release(sealed, b"\x01", KEY, bound) == b"a token"

"""A schema that was written with one key is never served with another: the start is refused by name."""

import os

import pytest

from chassis.known_keys import WrongKey, check_keys, keys_are_right
from chassis.sealing import key_id


async def test_another_key_of_the_same_name_is_refused_and_named(open_database, rows):
    right, wrong = os.urandom(32), os.urandom(32)
    for _ in range(2):
        await check_keys(open_database("consent", tombstone_key=right))
    with pytest.raises(WrongKey, match="CONSENT_TOMBSTONE_KEY") as refusal:
        await check_keys(open_database("consent", tombstone_key=wrong))
    assert key_id(right).hex() in str(refusal.value)
    assert key_id(wrong).hex() in str(refusal.value)
    [row] = await rows("consent.known_keys")
    assert (row["name"], row["key_id"]) == ("CONSENT_TOMBSTONE_KEY", key_id(right).hex())


async def test_a_new_key_stands_beside_an_older_one_under_its_own_name(open_database):
    first, second = os.urandom(32), os.urandom(32)
    await check_keys(open_database("consent", keys={"KEYS, k1": first}))
    await check_keys(open_database("consent", keys={"KEYS, k1": first, "KEYS, k2": second}))
    await check_keys(open_database("consent", keys={"KEYS, k2": second}))
    with pytest.raises(WrongKey, match="KEYS, k2"):
        await check_keys(open_database("consent", keys={"KEYS, k2": first}))


@pytest.mark.parametrize("kind", ["api", "worker"])
async def test_process_with_another_key_does_not_start_and_says_which(start, open_database, kind):
    await check_keys(open_database("consent"))
    process = await start(kind, WIDGET_TOMBSTONE_KEY=os.urandom(32).hex())
    status, lines = await process.ended(30)
    assert status == 1
    assert "CONSENT_TOMBSTONE_KEY" in {line.get("setting") for line in lines if line["event"] == "wrong_key"}


async def test_keys_are_checked_when_the_database_is_back(open_database, database_proxy):
    database = open_database("consent", via=database_proxy)
    database_proxy.cut(refusing=True)
    assert not await keys_are_right(database)
    database_proxy.heal()
    assert await keys_are_right(database)

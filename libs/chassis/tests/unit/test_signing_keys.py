import asyncio

import pytest

from chassis import auth
from chassis.auth import AccessTokens, KeySet
from chassis.http import NeighbourRefused, NeighbourUnavailable
from chassis.problems import ServiceUnavailable, Unauthorized


class Issuer:
    """Publishes keys, and counts how often it is asked for them."""

    def __init__(self, *keys):
        self.keys = list(keys)
        self.asked = 0
        self.fault = None
        self.document = None

    async def fetch(self):
        self.asked += 1
        # Whoever else asks gets a turn before the answer is there.
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
        if self.fault is not None:
            raise self.fault
        return self.document or {"keys": [key.jwk for key in self.keys]}


@pytest.fixture
def time_passes(monkeypatch):
    """Return a function that moves the clock of the key set."""
    now = [1000.0]
    monkeypatch.setattr(auth.time, "monotonic", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


@pytest.fixture
def issuer(key):
    return Issuer(key)


async def test_keys_are_fetched_once_and_again_when_they_are_old(issuer, time_passes):
    keys = KeySet(issuer.fetch)
    for _ in range(3):
        assert await keys.find("key-1") is not None
    assert issuer.asked == 1
    time_passes(301)
    assert await keys.find("key-1") is not None
    assert issuer.asked == 2


@pytest.mark.parametrize("row", ["A-13-new-and-withdrawn-keys"])
async def test_new_key_is_found_without_a_refusal_and_a_withdrawn_one_is_forgotten(
    issuer, another_key, time_passes, row
):
    keys = KeySet(issuer.fetch)
    await keys.find("key-1")
    issuer.keys = [another_key]
    time_passes(6)
    assert await keys.find("key-2") is not None
    assert await keys.find("key-1") is None


@pytest.mark.parametrize("row", ["A-13-flood-of-unknown-names"])
async def test_flood_of_unknown_key_names_asks_once(issuer, time_passes, row):
    keys = KeySet(issuer.fetch)
    await keys.find("key-1")
    time_passes(6)
    assert await asyncio.gather(*(keys.find(f"unknown-{number}") for number in range(200))) == [None] * 200
    assert issuer.asked == 2
    assert await keys.find("key-1") is not None
    assert issuer.asked == 2


async def test_crowd_at_the_start_asks_once(issuer, time_passes):
    keys = KeySet(issuer.fetch)
    found = await asyncio.gather(*(keys.find("key-1") for _ in range(50)))
    assert None not in found
    assert issuer.asked == 1


FAULTS = {
    "no answer": NeighbourUnavailable(),
    "time out": TimeoutError(),
    "a refusal": NeighbourRefused(404),
}
DOCUMENTS = {
    "no keys in it": {"hello": "world"},
    "keys that are no list": {"keys": 7},
    "a key that is no object": {"keys": ["key-1"]},
    "a key off the curve": {"keys": [{"kty": "EC", "crv": "P-256", "kid": "key-1", "x": "AA", "y": "AA"}]},
    "half a key": {"keys": [{"kty": "EC", "crv": "P-256", "kid": "key-1"}]},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_old_keys_serve_while_new_ones_can_not_be_had(fault, issuer, time_passes):
    keys = KeySet(issuer.fetch)
    await keys.find("key-1")
    issuer.fault = fault
    time_passes(301)
    for _ in range(20):
        assert await keys.find("key-1") is not None
    assert issuer.asked == 2
    issuer.fault = None
    time_passes(6)
    await keys.find("key-1")
    assert issuer.asked == 3


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_old_keys_serve_while_the_issuer_answers_nonsense(document, issuer, key, claims, time_passes):
    tokens = AccessTokens(KeySet(issuer.fetch), issuer=claims()["iss"], audience=claims()["aud"])
    await tokens.verify(key.sign(key.header, claims()))
    issuer.document = document
    time_passes(301)
    await tokens.verify(key.sign(key.header, claims()))
    assert issuer.asked == 2


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_without_any_key_the_answer_is_503_and_never_401(fault, issuer, key, claims):
    tokens = AccessTokens(KeySet(issuer.fetch), issuer=claims()["iss"], audience=claims()["aud"])
    issuer.fault = fault
    token = key.sign(key.header, claims())
    with pytest.raises(ServiceUnavailable):
        await tokens.verify(token)
    # The next caller may try at once.
    issuer.fault = None
    await tokens.verify(token)


async def test_keys_of_other_kinds_are_ignored(issuer, key, claims):
    symmetric = {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}
    nameless = {name: value for name, value in key.jwk.items() if name != "kid"}
    issuer.document = {"keys": [symmetric, nameless, {"kty": "RSA", "kid": "rsa"}, key.jwk]}
    keys = KeySet(issuer.fetch)
    assert await keys.find("key-1") is not None
    assert await keys.find("shared") is None
    assert await keys.find("rsa") is None


async def test_unknown_key_name_is_a_refusal(issuer, another_key, claims):
    tokens = AccessTokens(KeySet(issuer.fetch), issuer=claims()["iss"], audience=claims()["aud"])
    with pytest.raises(Unauthorized):
        await tokens.verify(another_key.sign(another_key.header, claims()))


async def test_issuer_that_hangs_keeps_nobody_whose_key_is_known_and_is_asked_once(issuer, monkeypatch):
    monkeypatch.setattr(auth, "JWKS_MAX_AGE_SECONDS", 0.0)
    keys = KeySet(issuer.fetch)
    await keys.find("key-1")
    keys._ask_again_at = float("-inf")
    hanging, fetch = asyncio.Event(), issuer.fetch

    async def hang():
        await hanging.wait()
        return await fetch()

    keys._fetch = hang
    begun = asyncio.get_running_loop().time()
    found = await asyncio.gather(*(keys.find("key-1") for _ in range(20)))
    assert asyncio.get_running_loop().time() - begun < 2
    assert None not in found
    # Whoever needs a key that is not known waits for the one answer.
    waiting = [asyncio.create_task(keys.find("unknown")) for _ in range(6)]
    await asyncio.wait(waiting, timeout=0.3)
    assert not any(task.done() for task in waiting)
    hanging.set()
    assert await asyncio.gather(*waiting) == [None] * 6
    assert issuer.asked == 2


async def test_pause_after_a_question_begins_with_its_end(issuer, time_passes):
    keys = KeySet(issuer.fetch)
    await keys.find("key-1")
    time_passes(301)
    fetch = issuer.fetch

    async def slow():
        time_passes(5)
        return await fetch()

    keys._fetch, issuer.fault = slow, TimeoutError()
    for _ in range(10):
        assert await keys.find("key-1") is not None
    assert issuer.asked == 2


async def test_waiters_without_any_key_share_one_question(issuer, claims, key):
    tokens = AccessTokens(KeySet(issuer.fetch), issuer=claims()["iss"], audience=claims()["aud"])
    issuer.fault = TimeoutError()
    token = key.sign(key.header, claims())
    refused = await asyncio.gather(*(tokens.verify(token) for _ in range(6)), return_exceptions=True)
    assert {type(error) for error in refused} == {ServiceUnavailable}
    assert issuer.asked == 1


async def test_six_who_need_keys_of_an_issuer_that_hangs_wait_as_long_as_one(issuer, claims, key):
    patience = 0.3

    async def hang():
        issuer.asked += 1
        async with asyncio.timeout(patience):
            await asyncio.Event().wait()

    tokens = AccessTokens(KeySet(hang), issuer=claims()["iss"], audience=claims()["aud"])
    token = key.sign(key.header, claims())
    begun = asyncio.get_running_loop().time()
    refused = await asyncio.gather(*(tokens.verify(token) for _ in range(6)), return_exceptions=True)
    assert asyncio.get_running_loop().time() - begun < 2 * patience
    assert {type(error) for error in refused} == {ServiceUnavailable}
    assert issuer.asked == 1

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from chassis.problems import ServiceUnavailable
from identity.providers.jwks import (
    COOLDOWN_SECONDS,
    LONGEST_SECONDS,
    SHORTEST_SECONDS,
    STALE_SECONDS,
    USUAL_SECONDS,
    ProviderKeys,
)
from identity.providers.remote import Answer, ProviderUnavailable

EC = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
RSA = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key(), as_dict=True)


class Provider:
    """Answers with the keys that it is given, and counts."""

    def __init__(self) -> None:
        self.names = ["k1"]
        self.max_age: int | None = 3600
        self.status = 200
        self.down = False
        self.asked = 0
        self.gate: asyncio.Event | None = None

    async def get(self, _url: str) -> Answer:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise ProviderUnavailable("down")
        keys = [{**EC, "kid": name, "alg": "ES256", "use": "sig"} for name in self.names]
        return Answer(self.status, {"keys": keys}, self.max_age)


class Time:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def keys(provider, time):
    return ProviderKeys(provider, "https://provider.example/keys", monotonic=time)


@pytest.mark.parametrize(
    ("max_age", "kept"),
    [
        (3600, 3600),
        (None, USUAL_SECONDS),
        (0, SHORTEST_SECONDS),
        (5, SHORTEST_SECONDS),
        (10**8, LONGEST_SECONDS),
    ],
)
async def test_keys_are_kept_as_long_as_the_provider_says_within_reason(keys, provider, time, max_age, kept):
    provider.max_age = max_age
    assert await keys.find("k1") is not None
    time.seconds += kept - 1
    await keys.find("k1")
    assert provider.asked == 1
    time.seconds += 2
    await keys.find("k1")
    assert provider.asked == 2


async def test_a_key_that_the_provider_withdrew_is_not_honoured_after_its_time(keys, provider, time):
    await keys.find("k1")
    provider.names = ["k2"]
    time.seconds += 3601
    assert await keys.find("k1") is None
    assert await keys.find("k2") is not None


async def test_a_flood_of_unknown_names_asks_once_per_pause(keys, provider, time):
    await keys.find("k1")
    time.seconds += COOLDOWN_SECONDS
    assert await asyncio.gather(*(keys.find(f"x{number}") for number in range(100))) == [None] * 100
    assert provider.asked == 2
    provider.names = ["k1", "k2"]
    time.seconds += COOLDOWN_SECONDS
    assert await keys.find("k2") is not None


async def test_known_keys_serve_while_the_provider_is_down_but_not_for_ever(keys, provider, time):
    await keys.find("k1")
    provider.down = True
    time.seconds += 3601
    for _ in range(10):
        assert await keys.find("k1") is not None
    assert provider.asked == 2
    time.seconds += STALE_SECONDS
    with pytest.raises(ServiceUnavailable):
        await keys.find("k1")


async def test_a_provider_that_is_down_from_the_start_is_asked_once_per_pause(keys, provider, time):
    provider.down = True
    for _ in range(5):
        with pytest.raises(ServiceUnavailable):
            await keys.find("k1")
    assert provider.asked == 1
    provider.down = False
    time.seconds += COOLDOWN_SECONDS
    assert await keys.find("k1") is not None


async def test_a_slow_provider_holds_up_nobody_whose_key_is_known(keys, provider, time):
    await keys.find("k1")
    provider.gate = asyncio.Event()
    time.seconds += 3601
    waiting = asyncio.create_task(keys.find("k1"))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(keys.find("k1"), 1) is not None
    provider.gate.set()
    assert await waiting is not None
    assert provider.asked == 2


async def test_an_answer_that_is_no_success_replaces_nothing(keys, provider, time):
    await keys.find("k1")
    provider.status, provider.names = 404, ["k2"]
    time.seconds += 3601
    assert await keys.find("k1") is not None
    assert await keys.find("k2") is None


@pytest.mark.parametrize(
    ("entry", "algorithm"),
    [
        ({**EC, "kid": "k1"}, "ES256"),
        ({**EC, "kid": "k1", "alg": "ES256", "use": "sig"}, "ES256"),
        ({**RSA, "kid": "k1", "alg": "RS256"}, "RS256"),
        ({**RSA, "kid": "k1", "alg": "PS256"}, None),
        ({**RSA, "kid": "k1", "alg": "HS256"}, None),
        ({**EC, "kid": "k1", "use": "enc"}, None),
        ({**EC, "kid": "k1", "crv": "P-384"}, None),
        ({**EC, "kid": "k1", "x": "AAAA"}, None),
        ({**RSA, "kid": "k1", "n": "AQAB"}, None),
        ({"kty": "oct", "k": "c2VjcmV0", "kid": "k1", "alg": "HS256"}, None),
        ({**EC, "kid": 1}, None),
        ({**EC}, None),
        ("k1", None),
        (None, None),
    ],
)
async def test_each_key_is_good_for_one_algorithm_or_for_none(keys, provider, monkeypatch, entry, algorithm):
    good = {**EC, "kid": "other"}

    async def answer(_url: str) -> Answer:
        return Answer(200, {"keys": [entry, good]}, None)

    monkeypatch.setattr(provider, "get", answer)
    found = await keys.find("k1")
    assert (found.algorithm_name if found else None) == algorithm
    assert await keys.find("other") is not None


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": []}, {"keys": ["k1"]}])
async def test_a_document_without_keys_is_no_answer(keys, provider, monkeypatch, document):
    async def answer(_url: str) -> Answer:
        return Answer(200, document, None)

    monkeypatch.setattr(provider, "get", answer)
    with pytest.raises(ServiceUnavailable):
        await keys.find("k1")


async def test_of_two_keys_with_one_name_the_first_counts(keys, provider, monkeypatch):
    async def answer(_url: str) -> Answer:
        return Answer(200, {"keys": [{**EC, "kid": "k1"}, {**RSA, "kid": "k1"}]}, None)

    monkeypatch.setattr(provider, "get", answer)
    assert (await keys.find("k1")).algorithm_name == "ES256"

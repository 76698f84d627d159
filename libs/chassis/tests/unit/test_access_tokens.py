import time
from datetime import UTC, datetime

import pytest

from chassis import auth
from chassis.auth import AccessTokens, KeySet
from chassis.problems import Unauthorized
from support.forged_tokens import FORGED, TokenForge

ISSUER = "https://irisvue.example"
AUDIENCE = "irisvue-api"


@pytest.fixture
def tokens(key):
    async def published():
        return {"keys": [key.jwk]}

    return AccessTokens(KeySet(published), issuer=ISSUER, audience=AUDIENCE)


async def test_good_token_says_who_calls_and_since_when(tokens, key, claims):
    said = claims()
    principal = await tokens.verify(key.sign(key.header, said))
    assert str(principal.user_id) == said["sub"]
    assert str(principal.session_id) == said["sid"]
    assert principal.token_id == said["jti"]
    assert principal.expires_at == datetime.fromtimestamp(said["exp"], UTC)
    assert principal.authenticated_at == datetime.fromtimestamp(said["auth_time"], UTC)
    assert principal.issued_at == datetime.fromtimestamp(said["iat"], UTC)


@pytest.mark.parametrize(
    ("said", "generation", "verified"),
    [
        ({}, None, False),
        ({"gen": 3, "email_verified": True}, 3, True),
        ({"gen": True, "email_verified": "true"}, None, False),
        ({"gen": "3", "email_verified": 1}, None, False),
    ],
)
async def test_token_tells_its_generation_and_whether_the_address_is_proved(
    tokens, key, claims, said, generation, verified
):
    principal = await tokens.verify(key.sign(key.header, claims(**said)))
    assert (principal.generation, principal.email_verified) == (generation, verified)


async def test_clocks_may_differ_by_half_a_minute(tokens, key, claims):
    await tokens.verify(key.sign(key.header, claims(exp=int(time.time()) - 20)))
    await tokens.verify(key.sign(key.header, claims(iat=int(time.time()) + 20)))


@pytest.mark.parametrize("make", FORGED.values(), ids=(f"A-11-{wrong}" for wrong in FORGED))
async def test_forged_token_is_refused(make, tokens, key):
    forge = TokenForge(issuer=ISSUER, audience=AUDIENCE, private=key.private, kid=key.kid)
    await tokens.verify(forge.good())
    with pytest.raises(Unauthorized):
        await tokens.verify(make(forge))


def test_there_are_at_least_sixty_forged_tokens_and_no_two_are_alike():
    forge = TokenForge(issuer=ISSUER, audience=AUDIENCE)
    assert len({make(forge) for make in FORGED.values()}) == len(FORGED) >= 60


@pytest.mark.parametrize("spoil", [" {}", "{} ", "", "{}\n"], ids="A-11-white-space-{0!r}".format)
async def test_spoiled_token_is_refused(spoil, tokens, key, claims):
    with pytest.raises(Unauthorized):
        await tokens.verify(spoil.format(key.sign(key.header, claims())))


async def test_refusal_says_nothing_about_its_reason(tokens, key, claims):
    expired = key.sign(key.header, claims(exp=int(time.time()) - 60))
    answers = set()
    for token in (expired, "rubbish"):
        with pytest.raises(Unauthorized) as refused:
            await tokens.verify(token)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__
        answers.add(str(refused.value.document()))
    assert len(answers) == 1


@pytest.fixture
def verifications(monkeypatch):
    """Return the tokens whose signature was computed."""
    read, seen = auth.jwt.decode, []
    monkeypatch.setattr(
        auth.jwt, "decode", lambda token, *args, **kwargs: seen.append(token) or read(token, *args, **kwargs)
    )
    return seen


async def test_token_is_verified_once_and_believed_until_it_expires(
    tokens, key, claims, verifications, monkeypatch
):
    now = int(time.time())
    token = key.sign(key.header, claims(exp=now + 10))
    assert len({id(await tokens.verify(token)) for _ in range(50)}) == 1
    assert verifications == [token]
    monkeypatch.setattr(auth.time, "time", lambda: now + 10.0 + auth.LEEWAY_SECONDS)
    await tokens.verify(token)
    assert len(verifications) == 2


async def test_refused_token_is_not_remembered(tokens, key, claims, verifications):
    for _ in range(2):
        with pytest.raises(Unauthorized):
            await tokens.verify(key.sign(key.header, claims(aud="somebody else")))
    assert len(verifications) == 2
    assert len(tokens._verified) == 0


@pytest.mark.parametrize("spoil", ["{}=", "{}é", "{}A", "{}?", "x{}"])
async def test_letter_more_is_another_token(spoil, tokens, key, claims):
    token = key.sign(key.header, claims())
    await tokens.verify(token)
    with pytest.raises(Unauthorized):
        await tokens.verify(spoil.format(token))


async def test_tokens_are_not_remembered_without_end_and_the_least_used_go_first(
    key, claims, verifications, monkeypatch
):
    monkeypatch.setattr(auth, "MOST_REMEMBERED", 3)

    async def published():
        return {"keys": [key.jwk]}

    tokens = AccessTokens(KeySet(published), issuer=ISSUER, audience=AUDIENCE)
    first, second, third, fourth = (key.sign(key.header, claims(jti=str(number))) for number in range(4))
    for token in (first, second, third, first, fourth, first):
        await tokens.verify(token)
    assert verifications == [first, second, third, fourth]
    assert len(tokens._verified) == 3
    await tokens.verify(second)
    assert len(verifications) == 5


async def test_key_that_is_taken_back_ends_the_tokens_that_it_signed(key, another_key, claims, monkeypatch):
    now, published = [1000.0], [key]
    monkeypatch.setattr(auth.time, "monotonic", lambda: now[0])

    async def fetch():
        return {"keys": [one.jwk for one in published]}

    tokens = AccessTokens(KeySet(fetch), issuer=ISSUER, audience=AUDIENCE)
    token = key.sign(key.header, claims())
    await tokens.verify(token)
    published[:] = [another_key]
    now[0] += 301
    with pytest.raises(Unauthorized):
        await tokens.verify(token)

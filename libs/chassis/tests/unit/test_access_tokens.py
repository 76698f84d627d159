import time
from datetime import UTC, datetime

import pytest

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

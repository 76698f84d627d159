"""Rows A-12, A-13 and A-20 of the standards: access tokens, the keys that sign them, and sealed secrets."""

import os
from datetime import timedelta
from uuid import UUID, uuid4

import jwt
import pytest
import structlog
from sqlalchemy import text

from chassis.sealing import SealBroken, SealingKeys
from chassis.signing_keys import new_private_key, open_private_key, seal_private_key
from identity.main import forget_what_expired
from identity.providers.seal import TokenSeal
from identity.use_cases.operations.rotate_keys import rotate_keys


def read(token):
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def keys_of(secret):
    return SealingKeys("the test's", [secret])


async def rotate(service, clock, *, sealing=None):
    async with service.unit_of_work() as uow:
        row = await rotate_keys(uow, sealing=sealing or service.sealing_keys)
    await service.load_keys()
    return row.kid


async def published(client):
    return (await client.get("/.well-known/jwks.json")).json()["keys"]


@pytest.mark.parametrize("row", ["A-12-profile"])
async def test_an_access_token_says_what_the_profile_asks_and_nothing_of_the_person(client, ada, row):
    header, claims = read(ada.tokens["access_token"])
    assert set(header) == {"alg", "typ", "kid"}, row
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")
    profile = {"iss", "aud", "sub", "client_id", "sid", "jti", "iat", "exp", "auth_time"}
    assert set(claims) == profile | {"gen", "email_verified"}
    assert (claims["sub"], claims["aud"], claims["client_id"]) == (ada.user_id, "irisvue-api", "irisvue-app")
    assert UUID(claims["sid"]).version == UUID(claims["jti"]).version == UUID(claims["sub"]).version == 7
    assert 0 < claims["exp"] - claims["iat"] <= 1800


@pytest.mark.parametrize("row", ["A-12-each-token-has-a-name"])
async def test_no_two_tokens_of_a_session_are_alike_and_a_refresh_is_no_sign_in(ada, clock, row):
    clock.advance(timedelta(minutes=-6))
    first = await ada.log_in()
    clock.advance(timedelta(minutes=6))
    pairs = [first]
    for _ in range(3):
        pairs.append((await ada.refresh(pairs[-1]["refresh_token"])).json())
    claims = [read(pair["access_token"])[1] for pair in pairs]
    assert len({one["jti"] for one in claims}) == 4, row
    assert len({one["sid"] for one in claims}) == len({one["auth_time"] for one in claims}) == 1


@pytest.mark.parametrize("row", ["A-13-published-keys"])
async def test_published_keys_are_public_named_and_for_one_use(client, ada, service, clock, row):
    await rotate(service, clock)
    answer = await client.get("/.well-known/jwks.json")
    assert answer.headers.get_list("cache-control") == ["public, max-age=300"], row
    keys = answer.json()["keys"]
    assert len({key["kid"] for key in keys}) == len(keys) == 2
    for key in keys:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")


@pytest.mark.parametrize("row", ["A-13-a-key-ends-with-its-last-token"])
async def test_a_replaced_key_is_destroyed_when_its_last_token_has_expired(client, ada, service, clock, row):
    async def kept():
        async with service.unit_of_work() as uow:
            return set((await uow.session.scalars(text("SELECT kid FROM identity.signing_keys"))).all())

    second = await rotate(service, clock)
    clock.advance(timedelta(minutes=30))
    third = await rotate(service, clock)
    clock.advance(timedelta(minutes=10 + 30))
    await forget_what_expired(service)
    assert await kept() == {second, third}, row
    clock.advance(timedelta(minutes=2))
    await forget_what_expired(service)
    assert await kept() == {third}
    await service.load_keys()
    assert [key["kid"] for key in await published(client)] == [third]
    assert read((await ada.log_in())["access_token"])[0]["kid"] == third


@pytest.mark.parametrize("row", ["A-13-another-secret"])
async def test_keys_that_another_secret_has_sealed_are_named_and_left_out(client, ada, service, clock, row):
    before = await published(client)
    with structlog.testing.capture_logs() as lines:
        kid = await rotate(service, clock, sealing=keys_of(os.urandom(32)))
    [line] = [line for line in lines if line["event"] == "signing_key_not_opened"]
    assert (line["kid"], line["log_level"]) == (kid, "error"), row
    assert "IDENTITY_REFRESH_TOKEN_KEY" in line["error"]
    clock.advance(timedelta(minutes=11))
    assert await published(client) == before
    assert (await ada.log_in())["access_token"]


def sealed_signing_key(secret, *, kid="k", label="k", change=lambda blob: blob):
    blob = seal_private_key(new_private_key(), kid=kid, keys=keys_of(secret))
    return lambda other=secret: open_private_key(change(blob), kid=label, keys=keys_of(other))


def sealed_grant(secret, *, kid="k", label="k", change=lambda blob: blob):
    owner = uuid4()
    blob = TokenSeal([secret]).seal("refresh", user_id=owner, provider="apple", client_id=kid)
    return lambda other=secret: TokenSeal([other]).open(
        change(blob), user_id=owner, provider="apple", client_id=label
    )


SEALED = [pytest.param(sealed_signing_key, id="signing-key"), pytest.param(sealed_grant, id="grant-of-apple")]


@pytest.mark.parametrize("seal", SEALED)
@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"label": "other"}, id="A-20-another-name"),
        pytest.param({"change": lambda blob: b"\x03" + blob[1:]}, id="A-20-unknown-format"),
        pytest.param({"change": lambda blob: blob[1:]}, id="A-20-no-format"),
        pytest.param({"change": lambda blob: blob[:-1] + bytes([blob[-1] ^ 1])}, id="A-20-flipped-bit"),
        pytest.param({"change": lambda blob: blob[:-1]}, id="A-20-cut"),
        pytest.param({"change": lambda blob: blob[:5]}, id="A-20-only-a-head"),
        pytest.param({"change": lambda _: b""}, id="A-20-nothing"),
    ],
)
def test_a_sealed_secret_opens_as_it_was_sealed_or_not_at_all(seal, how):
    secret = os.urandom(32)
    assert seal(secret)()
    with pytest.raises(SealBroken):
        seal(secret, **how)()
    with pytest.raises(SealBroken):
        seal(secret)(os.urandom(32))


@pytest.mark.parametrize("row", ["A-20-fresh-nonces"])
def test_no_nonce_is_used_twice(row):
    secret, key = os.urandom(32), new_private_key()
    blobs = [seal_private_key(key, kid="k", keys=keys_of(secret)) for _ in range(500)]
    assert len({blob[1:13] for blob in blobs}) == 500, row
    assert {blob[:1] for blob in blobs} == {b"\x01"}

from datetime import timedelta

import jwt
import pytest

from identity.use_cases.operations.rotate_keys import rotate_keys


async def rotate(service, clock):
    async with service.unit_of_work() as uow:
        row = await rotate_keys(uow, sealing=service.sealing_keys)
    await service.load_keys()
    return row.kid


async def published(client):
    return [key["kid"] for key in (await client.get("/.well-known/jwks.json")).json()["keys"]]


def kid_of(tokens):
    return jwt.get_unverified_header(tokens["access_token"])["kid"]


@pytest.mark.parametrize("row", ["A-13-published-before-use"])
async def test_the_next_key_is_published_before_it_signs(client, ada, service, clock, row):
    (first,) = await published(client)
    second = await rotate(service, clock)
    assert await published(client) == [first, second]
    assert kid_of(await ada.log_in()) == first
    clock.advance(timedelta(minutes=10))
    assert kid_of(await ada.log_in()) == second


@pytest.mark.parametrize("row", ["A-13-kept-until-the-last-token"])
async def test_a_key_stays_published_until_its_last_token_has_expired(client, ada, service, clock, row):
    (first,) = await published(client)
    second = await rotate(service, clock)
    clock.advance(timedelta(minutes=10 + 30))
    assert await published(client) == [first, second]
    clock.advance(timedelta(minutes=2))
    assert await published(client) == [second]


@pytest.mark.parametrize("row", ["A-13-session-goes-on"])
async def test_a_session_outlives_a_rotation(ada, service, clock, row):
    await rotate(service, clock)
    clock.advance(timedelta(minutes=11))
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize("row", ["A-20-signing-keys"])
async def test_stored_keys_are_sealed_and_bound_to_their_name(platform, service, clock, row):
    await rotate(service, clock)
    connection = await platform.connect_as_admin()
    try:
        sealed = await connection.fetchval("SELECT sealed_private_key FROM identity.signing_keys")
        # A PKCS#8 key of the curve carries the curve's object identifier, 1.2.840.10045.3.1.7.
        assert bytes.fromhex("2a8648ce3d030107") not in sealed
    finally:
        await connection.close()

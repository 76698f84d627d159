"""S3: forged access tokens against identity's own API, and its other tokens where an access token belongs."""

from datetime import timedelta

import jwt
import pytest

from identity.main import IDENTITY
from identity.use_cases.operations.rotate_keys import rotate_keys
from support.forged_tokens import TokenForge, forged_bearers

ME = "/api/v1/users/me"


async def status(client, bearer: bytes | str) -> int:
    if isinstance(bearer, str):
        bearer = f"Bearer {bearer}".encode()
    return (await client.get(ME, headers={b"Authorization": bearer})).status_code


@pytest.fixture
def forge(service, ada, clock):
    """Return a forge with identity's own key, for a session that exists."""
    claims = jwt.decode(ada.tokens["access_token"], options={"verify_signature": False})
    key = service.tokens.signing_keys.signing(clock.now())
    return TokenForge(
        issuer=claims["iss"],
        audience=claims["aud"],
        private=key.private_key,
        kid=key.kid,
        sub=claims["sub"],
        sid=claims["sid"],
    )


@pytest.mark.parametrize("row", ["S3-identity"])
async def test_of_all_forged_tokens_none_is_accepted_and_none_breaks_anything(client, forge, row):
    assert await status(client, forge.good()) == 200, row
    answers = {wrong: await status(client, bearer) for wrong, bearer in forged_bearers(forge)}
    assert len(answers) >= 60
    assert {wrong: found for wrong, found in answers.items() if found != 401} == {}


async def refresh_token(ada, _headers):
    return ada.tokens["refresh_token"]


async def service_token(_ada, service_headers):
    return service_headers("gateway", "identity")["Authorization"].removeprefix("Bearer ")


async def status_token_of_an_erasure(ada, _headers):
    eve = await type(ada)(ada.client, "eve@example.org").register()
    await eve.log_in()
    deletion = await ada.client.request("DELETE", ME, json={"confirm": True}, headers=eve.bearer)
    assert deletion.status_code == 200, deletion.text
    return deletion.json()["status_token"]


OTHERS = {
    "S3-A-12-refresh-token": refresh_token,
    "S3-A-12-service-token": service_token,
    "S3-A-12-status-token": status_token_of_an_erasure,
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
async def test_no_other_token_of_ours_is_an_access_token(client, ada, service_headers, other):
    assert await status(client, await other(ada, service_headers)) == 401
    assert await status(client, ada.tokens["access_token"]) == 200


@pytest.mark.parametrize("row", ["S3-A-13-retired-key"])
async def test_a_retired_key_signs_nobody_in(settings, service, ada, forge, clock, row):
    async with service.unit_of_work() as uow:
        await rotate_keys(uow, sealing=service.sealing_keys)
    await service.load_keys()
    clock.advance(timedelta(minutes=10 + 30 + 2))
    app = IDENTITY.create_api(settings)
    IDENTITY.install(app, service)
    transport = type(ada.client._transport)(app)
    async with type(ada.client)(
        transport=transport, base_url="http://identity", event_hooks=ada.client.event_hooks
    ) as client:
        assert await status(client, forge.good()) == 401, row


@pytest.mark.parametrize("row", ["S3-A-12-access-token-to-refresh"])
async def test_an_access_token_refreshes_nothing(ada, row):
    assert (await ada.refresh(ada.tokens["access_token"])).status_code in {401, 422}, row

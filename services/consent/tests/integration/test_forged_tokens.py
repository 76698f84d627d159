"""S3: forged access tokens against consent's own API."""

import pytest

from chassis.auth import AccessTokens, KeySet
from support.forged_tokens import TokenForge, forged_bearers


@pytest.mark.parametrize("row", ["S3-consent"])
async def test_of_all_forged_tokens_none_is_accepted_and_none_breaks_anything(
    app, client, settings, row: str
) -> None:
    issuer, audience = settings.access_token_issuer, settings.access_token_audience
    forge = TokenForge(issuer=issuer, audience=audience)

    async def keys():
        return {"keys": [forge.jwk]}

    app.state.access_tokens = AccessTokens(KeySet(keys), issuer=issuer, audience=audience)

    async def status(bearer: bytes) -> int:
        answer = await client.get("/api/v1/privacy/consent", headers={b"Authorization": bearer})
        return int(answer.status_code)

    assert await status(b"Bearer " + forge.good().encode()) == 200, row
    answers = {wrong: await status(bearer) for wrong, bearer in forged_bearers(forge)}
    assert len(answers) >= 60
    assert {wrong: found for wrong, found in answers.items() if found != 401} == {}

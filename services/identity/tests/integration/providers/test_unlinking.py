"""Taking a provider away from an account again."""

from datetime import timedelta

import pytest

from identity.models import AppleGrant, ProviderIdentity

AUTH, ME = "/api/v1/auth", "/api/v1/users/me"
PROVIDERS = pytest.mark.parametrize("provider", ["apple", "google"])


async def unlink(client, provider, bearer):
    return await client.delete(f"{AUTH}/{provider}/link", headers=bearer)


async def listed(client, bearer):
    answer = await client.get(f"{AUTH}/providers", headers=bearer)
    assert answer.status_code == 200
    return [one["provider"] for one in answer.json()["providers"]]


@pytest.fixture
async def linked(phone, ada):
    """Return somebody with a password, with whom Apple and Google were linked by whoever was signed in."""
    for provider, sub in (("apple", "a.1"), ("google", "g.1")):
        token = phone.fakes[provider].token(sub=sub, email="other@example.net", email_verified=False)
        answer = await phone.send(provider, token, path="/link", headers=ada.bearer)
        assert answer.status_code == 200, answer.text
    return ada


@PROVIDERS
async def test_an_unlinked_provider_opens_nothing_and_its_sessions_end(
    client, phone, linked, rows, events, provider
):
    stranger = await phone.signed_in(provider, sub=f"{provider[0]}.1", email=...)
    assert stranger["id"] == linked.user_id
    assert await listed(client, linked.bearer) == ["apple", "google"]
    assert (await unlink(client, provider, linked.bearer)).status_code == 204
    other = "google" if provider == "apple" else "apple"
    assert await listed(client, linked.bearer) == [other]
    assert (await client.get(ME, headers=stranger["bearer"])).status_code == 401
    assert (await client.get(ME, headers=linked.bearer)).status_code == 200
    again = await phone.sign_in(provider, sub=f"{provider[0]}.1", email="other@example.net")
    new = {"Authorization": f"Bearer {again.json()['access_token']}"}
    assert (await phone.account(new))["id"] != linked.user_id
    assert "identity.session.revoked.v1" in await events()


@PROVIDERS
async def test_what_is_not_linked_is_not_found(client, ada, provider):
    assert await listed(client, ada.bearer) == []
    assert (await unlink(client, provider, ada.bearer)).status_code == 404


@PROVIDERS
async def test_the_only_way_in_stays(client, phone, rows, provider):
    account = await phone.signed_in(provider)
    refused = await unlink(client, provider, account["bearer"])
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:irisvue:problem:last-way-in")
    assert await rows(ProviderIdentity) == 1
    other = "google" if provider == "apple" else "apple"
    await phone.signed_in(other)
    assert (await unlink(client, provider, account["bearer"])).status_code == 204
    assert await rows(ProviderIdentity) == 1


@PROVIDERS
async def test_unlinking_needs_a_recent_sign_in(client, linked, clock, rows, provider):
    clock.advance(timedelta(minutes=5, seconds=1))
    stale = await unlink(client, provider, linked.bearer)
    assert (stale.status_code, stale.json()["type"]) == (401, "urn:irisvue:problem:fresh-sign-in-needed")
    assert await rows(ProviderIdentity) == 2


async def test_somebody_else_s_link_is_not_touched(client, phone, linked, rows):
    eve = await type(linked)(client, "eve@example.org").register()
    await eve.log_in()
    assert (await unlink(client, "apple", eve.bearer)).status_code == 404
    assert await rows(ProviderIdentity) == 2


async def test_what_apple_granted_stays_until_the_erasure_that_revokes_it(client, phone, apple, ada, rows):
    fields = {"authorization_code": apple.grant_code("code-1", sub="a.1")}
    linked = await phone.send("apple", apple.token(sub="a.1"), path="/link", headers=ada.bearer, **fields)
    assert linked.status_code == 200
    assert (await unlink(client, "apple", ada.bearer)).status_code == 204
    assert (await rows(ProviderIdentity), await rows(AppleGrant)) == (0, 1)

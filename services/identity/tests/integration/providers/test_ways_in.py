"""Owners can always open their account, and closing the Apple Account erases only what Apple alone opens."""

import pytest

from services.identity.tests.passkey_ceremonies import BASE, add, sign_in, slug
from services.identity.tests.virtual_authenticator import RP_ID, WEB, VirtualAuthenticator

ME = "/api/v1/users/me"


@pytest.fixture
def settings(settings):
    """Return the settings of a domain with a page."""
    return settings.model_copy(update={"passkey_rp_id": RP_ID, "passkey_origins": (WEB,)})


class Owner:
    """Somebody without a password, as the ceremonies of passkeys want them."""

    def __init__(self, client, account: dict) -> None:
        self.client, self.bearer, self.user_id = client, account["bearer"], account["id"]


@pytest.fixture
def authenticator() -> VirtualAuthenticator:
    return VirtualAuthenticator()


@pytest.fixture
async def owner(client, phone, authenticator) -> Owner:
    """Return somebody whom Apple and a passkey sign in, and no password."""
    person = Owner(client, await phone.signed_in("apple"))
    assert (await add(person, authenticator)).status_code == 200
    return person


async def test_who_has_a_passkey_is_not_erased_when_the_apple_account_is_closed(
    client, phone, apple, owner, authenticator, events
):
    assert (await phone.notify(apple.notice("account-delete"))).status_code == 200
    assert "identity.user.deleted.v1" not in await events()
    back = await sign_in(client, authenticator)
    assert back.status_code == 200
    bearer = {"Authorization": f"Bearer {back.json()['access_token']}"}
    assert (await client.get(ME, headers=bearer)).json()["id"] == owner.user_id


async def test_the_last_passkey_stays_when_nothing_else_opens_the_account(client, owner, authenticator):
    removed = await client.delete("/api/v1/auth/apple/link", headers=owner.bearer)
    assert removed.status_code == 204
    (passkey,) = (await client.get(BASE, headers=owner.bearer)).json()["passkeys"]
    refused = await client.delete(f"{BASE}/{passkey['id']}", headers=owner.bearer)
    assert (refused.status_code, slug(refused)) == (409, "last-way-in")
    assert (await sign_in(client, authenticator)).status_code == 200
    assert (await add(owner, VirtualAuthenticator())).status_code == 200
    assert (await client.delete(f"{BASE}/{passkey['id']}", headers=owner.bearer)).status_code == 204


async def test_a_provider_stays_when_nothing_else_opens_the_account(client, owner):
    (passkey,) = (await client.get(BASE, headers=owner.bearer)).json()["passkeys"]
    assert (await client.delete(f"{BASE}/{passkey['id']}", headers=owner.bearer)).status_code == 204
    refused = await client.delete("/api/v1/auth/apple/link", headers=owner.bearer)
    assert (refused.status_code, slug(refused)) == (409, "last-way-in")


async def test_passkey_sign_ins_are_counted_per_account(client, owner, authenticator):
    answers = [(await sign_in(client, authenticator)).status_code for _ in range(101)]
    assert answers == [200] * 100 + [429]

"""Accounts are kept apart by the mailbox that mails go to, and by nothing else."""

from dataclasses import replace

import pytest

from identity.main import IDENTITY

PASSWORD = "correct horse battery staple"
REGISTER, LOGIN, ME = "/api/v1/auth/register", "/api/v1/auth/login/json", "/api/v1/users/me"


async def register(client, email: str):
    return await client.post(REGISTER, json={"email": email, "password": PASSWORD})


async def test_two_domains_are_two_accounts(client):
    first = await register(client, "anna@straße-x.example")
    second = await register(client, "anna@strasse-x.example")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["email"] == "anna@xn--strae-x-3va.example"
    assert second.json()["email"] == "anna@strasse-x.example"


async def test_two_spellings_of_a_domain_are_one_account(client, mailbox, post_office):
    made = await register(client, "x@MÜLLER.de")
    again = await register(client, "X@xn--mller-kva.de")
    assert (made.status_code, again.status_code) == (201, 409)
    for name in ("x@müller.de", "x@XN--MLLER-KVA.de"):
        login = await client.post(LOGIN, json={"email": name, "password": PASSWORD})
        assert login.status_code == 200
    await post_office()
    assert [str(mail["To"]) for mail in mailbox.messages] == ["x@xn--mller-kva.de"]


@pytest.mark.parametrize("email", ["ｂob@example.org", "\N{KELVIN SIGN}arl@example.org", "groß@example.org"])
async def test_letters_that_others_stand_for_squat_no_address(client, email):
    refused = await register(client, email)
    assert refused.status_code == 422
    assert "plain form" in refused.json()["detail"]
    assert (await register(client, "bob@example.org")).status_code == 201


async def test_letters_before_the_at_sign_need_a_mail_server_that_takes_them(client, ada, service):
    refused = await register(client, "josé@example.org")
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:irisvue:problem:address-not-mailable")
    changed = await client.patch(ME, json={"email": "josé@example.org"}, headers=ada.bearer)
    assert changed.status_code == 422
    settings = service.settings.model_copy(update={"smtp_utf8": True})
    app = IDENTITY.create_api(settings)
    IDENTITY.install(app, replace(service, settings=settings))
    async with type(client)(
        transport=type(client._transport)(app), base_url="http://identity", event_hooks=client.event_hooks
    ) as able:
        assert (await register(able, "jose\u0301@example.org")).json()["email"] == "josé@example.org"
        assert (await register(able, "JOSé@example.org")).status_code == 409

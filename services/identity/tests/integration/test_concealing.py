"""With `IDENTITY_REGISTRATION_DISCLOSURE=conceal` nobody learns from us whose address has an account."""

from dataclasses import replace

import pytest

from identity.main import IDENTITY

PASSWORD = "correct horse battery staple"
REGISTER, ME = "/api/v1/auth/register", "/api/v1/users/me"


@pytest.fixture
async def concealing(service, ada):
    """Return a client of an API that conceals."""
    settings = service.settings.model_copy(update={"registration_disclosure": "conceal"})
    app = IDENTITY.create_api(settings)
    IDENTITY.install(app, replace(service, settings=settings))
    transport = type(ada.client._transport)(app)
    async with type(ada.client)(
        transport=transport, base_url="http://identity", event_hooks=ada.client.event_hooks
    ) as client:
        yield client


@pytest.fixture
async def eve(concealing, mailbox, post_office):
    """Return somebody who looks for addresses, with every mail of before sent."""
    answer = await concealing.post(REGISTER, json={"email": "eve@example.org", "password": PASSWORD})
    assert answer.status_code == 201
    await post_office()
    await concealing.post("/api/v1/auth/verify-email", json={"token": mailbox.token()})
    body = {"email": "eve@example.org", "password": PASSWORD}
    tokens = (await concealing.post("/api/v1/auth/login/json", json=body)).json()
    mailbox.messages.clear()
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def test_a_change_to_a_taken_address_looks_like_any_and_tells_both_owners(
    concealing, eve, ada, mailbox, post_office
):
    answers = {}
    for email in (ada.email, "free@example.org"):
        answer = await concealing.patch(ME, json={"email": email}, headers=eve)
        answers[email] = (answer.status_code, answer.json())
    assert answers[ada.email] == answers["free@example.org"]
    await post_office()
    assert sorted((str(mail["To"]), str(mail["Subject"])) for mail in mailbox.messages) == [
        (ada.email, "You already have an account"),
        ("eve@example.org", "The address of your account is about to change"),
        ("eve@example.org", "The address of your account is about to change"),
        ("free@example.org", "Confirm your new address"),
    ]


async def test_an_owner_gets_three_such_mails_a_day_whatever_strangers_do(
    concealing, eve, ada, mailbox, post_office
):
    answers = [
        await concealing.post(REGISTER, json={"email": ada.email, "password": PASSWORD}) for _ in range(5)
    ]
    assert {answer.status_code for answer in answers} == {201}
    await post_office()
    assert [str(mail["To"]) for mail in mailbox.messages] == [ada.email] * 3


async def test_a_sign_in_right_after_registering_does_not_tell_a_free_address(concealing, ada):
    seen = {}
    for email in (ada.email, "free@example.org"):
        body = {"email": email, "password": "another long passphrase"}
        await concealing.post(REGISTER, json=body)
        for path, form in (("login/json", {"json": body}), ("login", {"data": {**body, "username": email}})):
            answer = await concealing.post(f"/api/v1/auth/{path}", **form)
            told = {name: value for name, value in answer.json().items() if name != "instance"}
            seen.setdefault(email, []).append((answer.status_code, told, sorted(answer.headers)))
    assert seen[ada.email] == seen["free@example.org"]
    assert [status for status, _, _ in seen[ada.email]] == [401, 401]
    assert "not confirmed" in seen[ada.email][0][1]["detail"]


async def test_who_confirms_the_address_signs_in(concealing, mailbox, post_office):
    body = {"email": "new@example.org", "password": PASSWORD}
    await concealing.post(REGISTER, json=body)
    assert (await concealing.post("/api/v1/auth/login/json", json=body)).status_code == 401
    await post_office()
    await concealing.post("/api/v1/auth/verify-email", json={"token": mailbox.token()})
    assert (await concealing.post("/api/v1/auth/login/json", json=body)).status_code == 200


async def test_what_is_told_by_default_stays_a_contract(client, ada):
    taken = await client.post(REGISTER, json={"email": ada.email, "password": PASSWORD})
    bob = await type(ada)(client, "bob@example.org").register()
    await bob.log_in()
    changed = await client.patch(ME, json={"email": ada.email}, headers=bob.bearer)
    assert (taken.status_code, changed.status_code) == (409, 409)

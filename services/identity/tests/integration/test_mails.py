import asyncio
from dataclasses import replace
from datetime import timedelta

import jwt
import pytest

from identity.main import IDENTITY

PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "an entirely different phrase"


async def ask(client, path, body, headers=None):
    return await client.post(f"/api/v1/auth/{path}", json=body, headers=headers or {})


async def test_a_new_account_confirms_its_address_with_the_mailed_link(
    client, ada, mailbox, post_office, events
):
    assert await post_office() == ["Confirm your address"]
    message = mailbox.messages[0]
    assert message["To"] == ada.email
    assert message.get_content_type() == "multipart/alternative"
    assert mailbox.link().startswith("http://localhost")
    answer = await ask(client, "verify-email", {"token": mailbox.token()})
    assert answer.status_code == 200
    me = await client.get("/api/v1/users/me", headers=ada.bearer)
    assert me.json()["is_verified"] is True
    assert "identity.user.verified.v1" in await events()


async def test_a_link_acts_once_even_when_clicked_twenty_times(client, ada, events, mailbox, post_office):
    await post_office()
    answers = await asyncio.gather(
        *(ask(client, "verify-email", {"token": mailbox.token()}) for _ in range(20))
    )
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert (await events()).count("identity.user.verified.v1") == 1


async def test_tokens_say_since_the_confirmation_that_the_address_is_proved(
    client, ada, mailbox, post_office
):
    def claims(pair: dict[str, str]) -> tuple[bool, int]:
        said = jwt.decode(pair["access_token"], options={"verify_signature": False})
        return said["email_verified"], said["gen"]

    assert claims(ada.tokens) == (False, 1)
    await post_office()
    await ask(client, "verify-email", {"token": mailbox.token()})
    refreshed = (await ada.refresh(ada.tokens["refresh_token"])).json()
    assert claims(refreshed) == (True, 2)
    assert claims(await ada.log_in()) == (True, 1)


@pytest.mark.parametrize("row", ["A-06-expired"])
async def test_a_link_expires(client, ada, mailbox, post_office, clock, row):
    await post_office()
    clock.advance(timedelta(hours=24, seconds=1))
    answer = await ask(client, "verify-email", {"token": mailbox.token()})
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:irisvue:problem:invalid-mail-token"


async def test_the_confirmation_is_sent_again_until_it_is_answered(client, ada, mailbox, post_office):
    assert (await ask(client, "resend-verification", {}, ada.bearer)).status_code == 202
    assert await post_office() == ["Confirm your address"] * 2
    await ask(client, "verify-email", {"token": mailbox.token()})
    assert (await ask(client, "resend-verification", {}, ada.bearer)).status_code == 202
    assert len(await post_office()) == 2


@pytest.mark.parametrize("row", ["A-06-sessions-end-and-the-owner-is-told"])
async def test_a_forgotten_password_is_replaced_and_every_session_ends(
    client, ada, mailbox, post_office, row
):
    await post_office()
    await ask(client, "verify-email", {"token": mailbox.token()})
    assert (await ask(client, "request-password-reset", {"email": "ADA@example.org"})).status_code == 200
    assert (await post_office())[-1] == "Reset your password"
    answer = await ask(client, "reset-password", {"token": mailbox.token(), "new_password": NEW_PASSWORD})
    assert answer.status_code == 200
    assert "access_token" not in answer.text
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 401
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 401
    old = await ask(client, "login/json", {"email": ada.email, "password": PASSWORD})
    new = await ask(client, "login/json", {"email": ada.email, "password": NEW_PASSWORD})
    assert (old.status_code, new.status_code) == (401, 200)
    assert (await post_office())[-1] == "Your password was changed"


@pytest.mark.parametrize("row", ["A-06-for-one-purpose"])
async def test_a_reset_link_is_no_confirmation_and_the_other_way_round(
    client, ada, mailbox, post_office, row
):
    await post_office()
    verify = mailbox.token()
    await ask(client, "request-password-reset", {"email": ada.email})
    await post_office()
    reset = mailbox.token()
    assert (await ask(client, "verify-email", {"token": reset})).status_code == 401
    crossed = await ask(client, "reset-password", {"token": verify, "new_password": NEW_PASSWORD})
    assert crossed.status_code == 401


@pytest.mark.parametrize("row", ["A-05-reset"])
async def test_a_reset_for_an_unknown_address_answers_the_same_and_mails_nobody(
    client, ada, post_office, row
):
    sent = len(await post_office())
    known = await ask(client, "request-password-reset", {"email": ada.email})
    unknown = await ask(client, "request-password-reset", {"email": "nobody@example.org"})
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    assert len(await post_office()) == sent + 1


@pytest.mark.parametrize("row", ["A-08-password-changed"])
async def test_changing_the_password_keeps_this_device_and_ends_the_others(client, ada, post_office, row):
    other = await ada.log_in()
    await ada.log_in()
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await ask(client, "change-password", body, ada.bearer)).status_code == 200
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 200
    assert (await ada.refresh(other["refresh_token"])).status_code == 401
    assert (await post_office())[-1] == "Your password was changed"


async def test_the_wrong_current_password_changes_nothing(client, ada):
    body = {"current_password": "wrong", "new_password": NEW_PASSWORD}
    assert (await ask(client, "change-password", body, ada.bearer)).status_code == 401
    await ada.log_in()


@pytest.mark.parametrize("row", ["A-08-address-changed"])
async def test_a_new_address_counts_when_it_is_confirmed_and_the_old_one_is_told(
    client, ada, mailbox, post_office, row
):
    await post_office()
    answer = await client.patch("/api/v1/users/me", json={"email": "new@example.org"}, headers=ada.bearer)
    assert (answer.status_code, answer.json()["email"]) == (200, ada.email)
    await post_office()
    told = {str(message["To"]): str(message["Subject"]) for message in mailbox.messages[1:]}
    assert told == {
        "new@example.org": "Confirm your new address",
        ada.email: "The address of your account is about to change",
    }
    number = 1 if mailbox.messages[1]["To"] == "new@example.org" else 2
    assert (await ask(client, "verify-email", {"token": mailbox.token(number)})).status_code == 200
    me = await client.get("/api/v1/users/me", headers=ada.bearer)
    assert (me.json()["email"], me.json()["is_verified"]) == ("new@example.org", True)


async def test_a_new_address_that_was_taken_meanwhile_is_refused(client, ada, mailbox, post_office):
    await post_office()
    await client.patch("/api/v1/users/me", json={"email": "new@example.org"}, headers=ada.bearer)
    await post_office()
    number = 1 if mailbox.messages[1]["To"] == "new@example.org" else 2
    token = mailbox.token(number)
    await type(ada)(client, "new@example.org").register()
    assert (await ask(client, "verify-email", {"token": token})).status_code == 409


@pytest.mark.parametrize(
    "password", ["password", "passwordpassword", "qwertyuiop", "ada@example.org", "irisvue1"]
)
async def test_a_password_that_anyone_would_try_is_refused(client, password):
    answer = await ask(client, "register", {"email": "ada@example.org", "password": password})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:irisvue:problem:weak-password"


@pytest.mark.parametrize("row", ["A-05-registration"])
async def test_concealed_registration_says_nothing_and_mails_the_owner(
    service, ada, mailbox, post_office, row
):
    await post_office()
    settings = service.settings.model_copy(update={"registration_disclosure": "conceal"})
    app = IDENTITY.create_api(settings)
    IDENTITY.install(app, replace(service, settings=settings))
    concealed = type(ada.client)(
        transport=type(ada.client._transport)(app),
        base_url="http://identity",
        event_hooks=ada.client.event_hooks,
    )
    async with concealed:
        taken = await ask(concealed, "register", {"email": ada.email, "password": PASSWORD})
        fresh = await ask(concealed, "register", {"email": "eve@example.org", "password": PASSWORD})
    assert taken.status_code == fresh.status_code == 201
    assert set(taken.json()) == set(fresh.json())
    assert taken.json()["id"] != ada.user_id
    await post_office()
    assert sorted(str(message["To"]) for message in mailbox.messages[1:]) == [ada.email, "eve@example.org"]


async def test_a_mail_that_the_server_refuses_for_good_is_not_tried_for_ever(ada, mailbox, post_office):
    mailbox.answer = "550 no such user"
    assert await post_office() == []
    mailbox.answer = "250 OK"
    assert await post_office() == []


async def test_reuse_of_a_refresh_token_is_mailed(ada, mailbox, post_office):
    first = ada.tokens["refresh_token"]
    second = (await ada.refresh(first)).json()["refresh_token"]
    await ada.refresh(second)
    await ada.refresh(first)
    assert "We signed out one of your devices" in await post_office()


async def test_the_linked_pages_open_and_carry_a_strict_policy(client):
    for page in ("verify-email", "reset-password"):
        answer = await client.get(f"/api/v1/auth/{page}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("row", ["A-08-list-and-end"])
async def test_a_person_sees_and_ends_their_devices(client, ada, row):
    other = await ada.log_in()
    await ada.log_in()
    answer = await client.get("/api/v1/auth/sessions", headers=ada.bearer)
    sessions = answer.json()["sessions"]
    assert [session["current"] for session in sessions].count(True) == 1
    assert len(sessions) == 3
    assert set(sessions[0]) == {"id", "created_at", "last_used_at", "user_agent", "ip", "current"}
    for session in sessions:
        if not session["current"]:
            ended = await client.delete(f"/api/v1/auth/sessions/{session['id']}", headers=ada.bearer)
            assert ended.status_code == 204
    assert (await ada.refresh(other["refresh_token"])).status_code == 401
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 200


async def test_somebody_elses_session_is_not_found(client, ada):
    eve = await type(ada)(client, "eve@example.org").register()
    await eve.log_in()
    session = (await client.get("/api/v1/auth/sessions", headers=ada.bearer)).json()["sessions"][0]
    answer = await client.delete(f"/api/v1/auth/sessions/{session['id']}", headers=eve.bearer)
    assert answer.status_code == 404


async def test_a_reset_link_that_is_opened_twice_still_sets_the_password(client, ada, mailbox, post_office):
    await ask(client, "request-password-reset", {"email": ada.email})
    await post_office()
    for _ in range(2):
        assert (await client.get("/api/v1/auth/reset-password")).status_code == 200
    body = {"token": mailbox.token(), "new_password": NEW_PASSWORD}
    assert (await ask(client, "reset-password", body)).status_code == 200


@pytest.mark.parametrize(
    ("password", "sentence"),
    [("short", "This needs at least 8 characters."), ("long" * 33, "This needs at most 128 characters.")],
)
async def test_a_password_of_the_wrong_length_is_told_in_characters(client, password, sentence):
    answer = await ask(client, "register", {"email": "ada@example.org", "password": password})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "items" not in answer.text

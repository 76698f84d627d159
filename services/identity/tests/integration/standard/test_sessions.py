"""Rows A-08 to A-10 of the standards: what needs a recent sign-in, and how sessions end."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from identity.main import IDENTITY

PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "an entirely different phrase"
ME = "/api/v1/users/me"


async def me(client, bearer):
    return (await client.get(ME, headers=bearer)).status_code


@pytest.fixture
async def stale(ada, clock):
    """Return somebody whose sign-in is longer ago than five minutes, and who has refreshed since.

    Tokens are judged by the time of the machine, so the sign-in is moved back and not the clock forward.
    """
    clock.advance(timedelta(minutes=-5, seconds=-1))
    tokens = await ada.log_in()
    clock.advance(timedelta(minutes=5, seconds=1))
    ada.tokens = (await ada.refresh(tokens["refresh_token"])).json()
    return ada


AUTH = "/api/v1/auth"
SENSITIVE = {
    "A-08-change-of-address": ("PATCH", ME, {"email": "new@example.org"}),
    "A-08-new-passkey": ("POST", f"{AUTH}/passkeys/registration/options", None),
    "A-08-link-apple": ("POST", f"{AUTH}/apple/link", {"identity_token": "any"}),
    "A-08-unlink-apple": ("DELETE", f"{AUTH}/apple/link", None),
    "A-08-unlink-google": ("DELETE", f"{AUTH}/google/link", None),
    "A-08-link-google": ("POST", f"{AUTH}/google/link", {"id_token": "any"}),
}


@pytest.mark.parametrize(("method", "path", "body"), SENSITIVE.values(), ids=SENSITIVE)
async def test_how_an_account_is_reached_changes_after_a_recent_sign_in_only(
    client, stale, events, method, path, body
):
    before = await events()
    answer = await client.request(method, path, json=body, headers=stale.bearer)
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:irisvue:problem:fresh-sign-in-needed")
    challenge = 'Bearer error="insufficient_user_authentication", max_age="300"'
    assert answer.headers["www-authenticate"] == challenge
    assert await events() == before
    await stale.log_in()
    again = await client.request(method, path, json=body, headers=stale.bearer)
    assert "fresh-sign-in-needed" not in again.text


@pytest.mark.parametrize("row", ["A-08-change-of-password"])
async def test_the_current_password_is_the_recent_sign_in_of_its_own_change(client, stale, row):
    async def change(current):
        body = {"current_password": current, "new_password": NEW_PASSWORD}
        return (await client.post(f"{AUTH}/change-password", json=body, headers=stale.bearer)).status_code

    assert await change("wrong") == 401, row
    assert await change(PASSWORD) == 200


@pytest.mark.parametrize(
    ("minutes", "status"),
    [
        pytest.param(0, 200, id="A-08-erasure-by-default"),
        pytest.param(5, 401, id="A-08-erasure-where-it-is-asked-for"),
        pytest.param(6, 200, id="A-08-erasure-recently-enough"),
    ],
)
async def test_a_deletion_asks_for_a_recent_sign_in_where_it_is_set(service, stale, minutes, status):
    settings = service.settings.model_copy(update={"erasure_fresh_minutes": minutes})
    app = IDENTITY.create_api(settings)
    IDENTITY.install(app, replace(service, settings=settings))
    transport = type(stale.client._transport)(app)
    async with type(stale.client)(
        transport=transport, base_url="http://identity", event_hooks=stale.client.event_hooks
    ) as client:
        answer = await client.request("DELETE", ME, json={"confirm": True}, headers=stale.bearer)
        assert answer.status_code == status
        assert await me(client, stale.bearer) == (401 if status == 200 else 200)


@pytest.mark.parametrize("row", ["A-08-end-all-others"])
async def test_a_person_ends_every_other_session_in_one_call(client, ada, events, row):
    others = [dict(ada.bearer)]
    for _ in range(2):
        await ada.log_in()
        others.append(dict(ada.bearer))
    others.pop()
    answer = await client.post(f"{AUTH}/logout-others", headers=ada.bearer)
    assert answer.status_code == 200, row
    assert [await me(client, bearer) for bearer in others] == [401, 401]
    assert await me(client, ada.bearer) == 200
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 200
    listed = (await client.get(f"{AUTH}/sessions", headers=ada.bearer)).json()["sessions"]
    assert [session["current"] for session in listed] == [True]
    assert (await events()).count("identity.session.revoked.v1") == 2


async def logout(client, ada, **_):
    await client.post(f"{AUTH}/logout", headers=ada.bearer)


async def logout_everywhere(client, ada, **_):
    await client.post(f"{AUTH}/logout-all", headers=ada.bearer)


async def end_in_the_list(client, ada, **_):
    (session,) = (await client.get(f"{AUTH}/sessions", headers=ada.bearer)).json()["sessions"]
    await client.delete(f"{AUTH}/sessions/{session['id']}", headers=ada.bearer)


async def end_from_another_device(client, ada, **_):
    other = await type(ada)(client, ada.email).log_in()
    headers = {"Authorization": f"Bearer {other['access_token']}"}
    await client.post(f"{AUTH}/logout-others", headers=headers)


async def change_password_elsewhere(client, ada, **_):
    other = await type(ada)(client, ada.email).log_in()
    headers = {"Authorization": f"Bearer {other['access_token']}"}
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    await client.post(f"{AUTH}/change-password", json=body, headers=headers)


async def reset_password(client, ada, mailbox, post_office, **_):
    await client.post(f"{AUTH}/request-password-reset", json={"email": ada.email})
    await post_office()
    body = {"token": mailbox.token(), "new_password": NEW_PASSWORD}
    await client.post(f"{AUTH}/reset-password", json=body)


async def delete_the_account(client, ada, **_):
    await client.request("DELETE", ME, json={"confirm": True}, headers=ada.bearer)


async def disable_the_account(service, **_):
    async with service.unit_of_work() as uow:
        await uow.session.execute(text("UPDATE identity.users SET is_active = false"))


async def reuse_an_old_refresh_token(ada, **_):
    second = (await ada.refresh(ada.tokens["refresh_token"])).json()
    await ada.refresh(second["refresh_token"])
    await ada.refresh(ada.tokens["refresh_token"])


async def the_operator(ada, platform, **_):
    environment = {**os.environ, **platform.environment("identity")}
    command = [sys.executable, "-m", "identity", "end-sessions", ada.user_id]
    await asyncio.to_thread(subprocess.run, command, env=environment, check=True, timeout=60)


ENDS = {
    "A-09-logout": logout,
    "A-09-logout-everywhere": logout_everywhere,
    "A-09-ended-in-the-list": end_in_the_list,
    "A-09-ended-from-another-device": end_from_another_device,
    "A-09-password-changed-elsewhere": change_password_elsewhere,
    "A-09-password-reset": reset_password,
    "A-09-account-deleted": delete_the_account,
    "A-09-account-disabled": disable_the_account,
    "A-09-refresh-token-reused": reuse_an_old_refresh_token,
    "A-09-operator": the_operator,
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_whatever_ends_a_session_ends_its_tokens_on_the_next_call(
    client, ada, service, mailbox, post_office, platform, end
):
    assert await me(client, ada.bearer) == 200
    await end(
        client=client, ada=ada, service=service, mailbox=mailbox, post_office=post_office, platform=platform
    )
    assert await me(client, ada.bearer) == 401
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 401


@pytest.mark.parametrize("row", ["A-10-nothing-to-steal"])
async def test_the_database_holds_no_refresh_token(ada, service, row):
    token = (await ada.refresh(ada.tokens["refresh_token"])).json()["refresh_token"]
    async with service.unit_of_work() as uow:
        kept = str((await uow.session.scalars(text("SELECT s::text FROM identity.sessions s"))).all())
    for part in (token, token[:43], token[-43:]):
        assert part not in kept, row


@pytest.mark.parametrize("row", ["A-10-one-session-is-one-family"])
async def test_reuse_ends_the_whole_family_and_no_other_session(client, ada, row):
    first, other = ada.tokens, await type(ada)(client, ada.email).log_in()
    second = (await ada.refresh(first["refresh_token"])).json()
    third = (await ada.refresh(second["refresh_token"])).json()
    answers = await asyncio.gather(*(ada.refresh(first["refresh_token"]) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {401}, row
    for pair in (first, second, third):
        assert (await ada.refresh(pair["refresh_token"])).status_code == 401
        assert await me(client, {"Authorization": f"Bearer {pair['access_token']}"}) == 401
    assert (await ada.refresh(other["refresh_token"])).status_code == 200

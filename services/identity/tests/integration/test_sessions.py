import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

PASSWORD = "correct horse battery staple"


async def test_a_form_signs_in_as_well_as_json(client, ada):
    answer = await client.post("/api/v1/auth/login", data={"username": ada.email, "password": PASSWORD})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("bearer", 1800)


@pytest.mark.parametrize(
    ("email", "password"),
    [
        pytest.param("ada@example.org", "wrong password", id="A-05-wrong-password"),
        pytest.param("nobody@example.org", PASSWORD, id="A-05-unknown-address"),
    ],
)
async def test_a_wrong_password_and_an_unknown_address_look_the_same(client, ada, email, password):
    answer = await client.post("/api/v1/auth/login/json", json={"email": email, "password": password})
    assert answer.status_code == 401
    document = {key: value for key, value in answer.json().items() if key != "instance"}
    assert document == {
        "type": "urn:irisvue:problem:invalid-credentials",
        "title": "Sign-in failed",
        "status": 401,
        "detail": "The e-mail address or the password is not right.",
    }


async def test_the_account_is_shown_to_its_owner(client, ada):
    answer = await client.get("/api/v1/users/me", headers=ada.bearer)
    assert answer.status_code == 200
    assert answer.json()["id"] == ada.user_id


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        ({}, "Bearer"),
        ({"Authorization": "Basic eA=="}, "Bearer"),
        ({"Authorization": "Bearer nonsense"}, 'Bearer error="invalid_token"'),
    ],
)
async def test_without_a_token_nothing_is_shown(client, header, challenge):
    answer = await client.get("/api/v1/users/me", headers=header)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == challenge


async def test_a_refresh_gives_a_new_pair(ada):
    answer = await ada.refresh(ada.tokens["refresh_token"])
    assert answer.status_code == 200
    assert answer.json()["refresh_token"] != ada.tokens["refresh_token"]


async def test_a_lost_answer_is_repeated(ada):
    first = (await ada.refresh(ada.tokens["refresh_token"])).json()
    again = (await ada.refresh(ada.tokens["refresh_token"])).json()
    assert again["refresh_token"] == first["refresh_token"]


async def test_twenty_refreshes_at_once_rotate_once(ada, service):
    answers = await asyncio.gather(*(ada.refresh(ada.tokens["refresh_token"]) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    async with service.unit_of_work() as uow:
        generation = await uow.session.scalar(text("SELECT generation FROM identity.sessions"))
    assert generation == 2


async def test_a_token_older_than_the_previous_one_ends_the_session(client, ada, events):
    first = ada.tokens["refresh_token"]
    second = (await ada.refresh(first)).json()["refresh_token"]
    third = (await ada.refresh(second)).json()["refresh_token"]
    assert (await ada.refresh(first)).status_code == 401
    assert (await ada.refresh(third)).status_code == 401
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 401
    assert "identity.session.revoked.v1" in await events()


async def test_a_session_ends_when_it_is_left_alone(ada, clock):
    clock.advance(timedelta(days=31))
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 401


async def test_logout_ends_the_access_token_at_once(client, ada, events):
    answer = await client.post("/api/v1/auth/logout", headers=ada.bearer)
    assert answer.status_code == 200
    assert "message" in answer.json()
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 401
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 401
    assert "identity.session.revoked.v1" in await events()


async def test_logout_everywhere_ends_every_session(client, ada):
    other = await ada.log_in()
    first_bearer = ada.bearer
    await ada.log_in()
    assert (await client.post("/api/v1/auth/logout-all", headers=ada.bearer)).status_code == 200
    for header in (first_bearer, ada.bearer):
        assert (await client.get("/api/v1/users/me", headers=header)).status_code == 401
    assert (await ada.refresh(other["refresh_token"])).status_code == 401


async def test_activity_is_announced_once_a_day(ada, clock, events):
    await ada.log_in()
    assert (await events()).count("identity.user.active.v1") == 1
    clock.advance(timedelta(days=1))
    await ada.log_in()
    assert (await events()).count("identity.user.active.v1") == 2


async def test_the_gateway_learns_of_ended_sessions_in_order(client, ada, service, gateway_headers):
    page = await client.get("/internal/session-revocations", headers=gateway_headers)
    assert page.json() == {"position": 0, "revocations": [], "complete": True}
    waiting = asyncio.create_task(
        client.get("/internal/session-revocations", params={"wait": 5}, headers=gateway_headers)
    )
    await client.post("/api/v1/auth/logout", headers=ada.bearer)
    page = (await waiting).json()
    assert len(page["revocations"]) == 1
    assert page["complete"] is True
    assert 0 < page["revocations"][0]["expires_in"] <= 2 * 1800
    later = await client.get(
        "/internal/session-revocations", params={"after": page["position"]}, headers=gateway_headers
    )
    assert later.json()["revocations"] == []


async def test_no_other_service_may_ask_for_revocations(client, service_headers):
    answer = await client.get("/internal/session-revocations", headers=service_headers("storage", "identity"))
    assert answer.status_code == 403
    assert (await client.get("/internal/session-revocations")).status_code == 401


async def test_a_token_for_another_service_is_refused(client, service_headers):
    answer = await client.get("/internal/session-revocations", headers=service_headers("gateway", "storage"))
    assert answer.status_code == 401

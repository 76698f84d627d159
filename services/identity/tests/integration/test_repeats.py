"""Repeating a request with the same Idempotency-Key, because its answer was lost."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
ME = "/api/v1/users/me"
PASSWORD = "correct horse battery staple"
BEN = {"email": "ben@example.org", "password": PASSWORD}
USER_REGISTERED, USER_DELETED = "identity.user.registered.v1", "identity.user.deleted.v1"


@pytest.fixture
async def stored(platform, service):
    """Return a function that dumps everything in identity's schema as text."""

    async def dump() -> str:
        connection = await platform.connect_as_admin()
        try:
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'identity'")
            found = [await connection.fetch(f"SELECT t::text FROM identity.{name} t") for (name,) in tables]
        finally:
            await connection.close()
        return "\n".join(row[0] for rows in found for row in rows)

    return dump


async def post(client, path, body, **headers):
    return await client.post(f"/api/v1/auth/{path}", json=body, headers=KEY | headers)


async def test_S21_fifty_registrations_at_once_make_one_account(client, events) -> None:  # noqa: N802
    answers = await asyncio.gather(*(post(client, "register", BEN) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert (await events()).count(USER_REGISTERED) == 1

    other = await post(client, "register", {**BEN, "email": "cleo@example.org"})
    assert other.status_code == 422
    assert other.json()["type"] == "urn:irisvue:problem:idempotency-key-reused"
    without_the_key = await client.post("/api/v1/auth/register", json=BEN)
    assert without_the_key.status_code == 409


async def test_S21_deletion_whose_answer_was_lost_gives_the_same_receipt(  # noqa: N802
    ada, client, holdings, events, stored
) -> None:
    request = {"headers": ada.bearer | KEY, "json": {"confirm": True}}
    receipt = await client.request("DELETE", ME, **request)
    assert receipt.status_code == 200
    assert (await client.get(ME, headers=ada.bearer)).status_code == 401

    again = await client.request("DELETE", ME, **request)
    assert (again.status_code, again.content) == (200, receipt.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert (await events()).count(USER_DELETED) == 1
    status = await client.get(
        f"/api/v1/privacy/erasures/{again.json()['erasure_id']}",
        headers={"X-Erasure-Token": again.json()["status_token"]},
    )
    assert status.status_code == 200

    # Also when identity has erased the account meanwhile: the receipt is the last thing that is kept.
    await holdings.erase([UUID(ada.user_id)])
    assert not any((await holdings.count([UUID(ada.user_id)]))[UUID(ada.user_id)].values())
    late = await client.request("DELETE", ME, **request)
    assert late.content == receipt.content
    assert ada.email not in await stored()
    assert again.json()["status_token"] not in await stored()


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "another"}], ids=["no key", "another key"])
async def test_who_does_not_know_the_key_is_signed_out(ada, client, key) -> None:
    request = {"json": {"confirm": True}}
    assert (await client.request("DELETE", ME, headers=ada.bearer | KEY, **request)).status_code == 200
    assert (await client.request("DELETE", ME, headers=ada.bearer | key, **request)).status_code == 401


async def test_sign_in_that_is_repeated_opens_one_session(ada, client, stored) -> None:
    credentials = {"email": ada.email, "password": PASSWORD}
    first, second = [await post(client, "login/json", credentials) for _ in range(2)]
    assert first.status_code == 200
    assert first.json() == second.json()
    sessions = await client.get("/api/v1/auth/sessions", headers=ada.bearer)
    assert len(sessions.json()["sessions"]) == 2
    for token in ("access_token", "refresh_token"):
        assert first.json()[token] not in await stored()


async def test_refresh_token_of_long_ago_still_ends_the_session_when_it_comes_with_a_key(ada, client) -> None:
    old = ada.tokens["refresh_token"]
    newer = (await ada.refresh(old)).json()["refresh_token"]
    newest = (await ada.refresh(newer)).json()["refresh_token"]
    for _ in range(2):
        assert (await post(client, "refresh", {"refresh_token": old})).status_code == 401
    # The end of the session was complete before the refusal, so it stays.
    assert (await ada.refresh(newest)).status_code == 401


async def test_change_of_password_that_is_repeated_changes_it_once(ada, client, service) -> None:
    change = {"current_password": PASSWORD, "new_password": "another battery of horses"}
    answers = [await post(client, "change-password", change, **ada.bearer) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    async with service.unit_of_work() as uow:
        kinds = await uow.session.scalars(text("SELECT kind FROM identity.mails"))
    assert list(kinds) == ["password_changed"]


async def test_requests_with_keys_wait_for_the_hasher_without_a_connection(
    ada, client, service, monkeypatch
) -> None:
    number, verify, all_here = 8, service.hasher.verify, asyncio.Event()
    waiting = 0

    async def watched(password, stored_hash):
        nonlocal waiting
        waiting += 1
        if waiting == number:
            assert service.database.engine.pool.checkedout() == 0
            all_here.set()
        await all_here.wait()
        return await verify(password, stored_hash)

    monkeypatch.setattr(service.hasher, "verify", watched)

    async def change(key: int):
        body = {"current_password": PASSWORD, "new_password": f"new battery of horses {key}"}
        return await post(client, "change-password", body, **ada.bearer | {"Idempotency-Key": f"key-{key}"})

    answers = await asyncio.wait_for(asyncio.gather(*map(change, range(number))), timeout=20)
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * (number - 1)


@pytest.mark.parametrize("path", ["login/json", "refresh"])
async def test_kept_answer_of_a_sign_in_ends_with_its_session(client, ada, path):
    bodies = {
        "login/json": {"email": ada.email, "password": PASSWORD},
        "refresh": {"refresh_token": ada.tokens["refresh_token"]},
    }
    first = await post(client, path, bodies[path])
    assert first.status_code == 200
    assert (await post(client, path, bodies[path])).content == first.content
    bearer = {"Authorization": f"Bearer {first.json()['access_token']}"}
    assert (await client.post("/api/v1/auth/logout-all", headers=bearer)).status_code == 200

    again = await post(client, path, bodies[path])
    assert (again.status_code, again.json()["type"]) == (401, "urn:irisvue:problem:invalid-refresh-token")
    assert "access_token" not in again.text

"""What one account's sessions may cost the others: nothing."""

import asyncio
import time
from datetime import timedelta
from typing import Self
from uuid import UUID

import pytest
from sqlalchemy import text

from identity.main import forget_what_expired
from identity.repositories import Sessions

AUTH = "/api/v1/auth"
FEED = "/internal/session-revocations"
MANY = 30_000
PROMPT_SECONDS = 2.0
INSERT = text(
    """
    INSERT INTO identity.sessions
        (id, user_id, generation, rotated_at, authenticated_at, created_at, last_used_at, user_agent)
    SELECT gen_random_uuid(), :user_id, 1, :now, :now, :now, :now, 'many'
    FROM generate_series(1, :many)
    """
)


class Watch:
    """Takes the time of a block."""

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began


@pytest.fixture
async def crowded(ada, service):
    """Return a person with very many sessions."""
    async with service.unit_of_work() as uow:
        values = {"user_id": UUID(ada.user_id), "now": service.clock.now(), "many": MANY}
        await uow.session.execute(INSERT, values)
    return ada


async def live(service) -> int:
    async with service.unit_of_work() as uow:
        counted = await uow.session.scalar(
            text("SELECT count(*) FROM identity.sessions WHERE ended_at IS NULL")
        )
    return int(counted or 0)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{AUTH}/logout-all", None),
        ("DELETE", "/api/v1/users/me", {"confirm": True}),
        ("GET", f"{AUTH}/sessions", None),
    ],
)
async def test_very_many_sessions_of_one_person_delay_nobody(
    client, crowded, gateway_headers, service, method, path, body
):
    bob = await type(crowded)(client, "bob@example.org").register()
    await bob.log_in()

    async def sign_out() -> float:
        with Watch() as watch:
            assert (await client.post(f"{AUTH}/logout", headers=bob.bearer)).status_code == 200
        return watch.seconds

    with Watch() as own:
        answer, others = await asyncio.gather(
            client.request(method, path, json=body, headers=crowded.bearer), sign_out()
        )
    assert answer.status_code == 200, answer.text
    assert own.seconds < PROMPT_SECONDS
    assert others < PROMPT_SECONDS
    if method == "GET":
        listed = answer.json()
        assert (len(listed["sessions"]), listed["total"]) == (100, MANY + 1)
        return
    assert await live(service) == 0
    with Watch() as watch:
        found, position, complete = 0, 0, False
        while not complete:
            page = (await client.get(FEED, params={"after": position}, headers=gateway_headers)).json()
            found, position, complete = found + len(page["revocations"]), page["position"], page["complete"]
    assert found == MANY + 2
    assert watch.seconds < 5 * PROMPT_SECONDS


async def test_a_sign_out_waits_for_no_transaction_of_somebody_else(client, ada, service, gateway_headers):
    bob = await type(ada)(client, "bob@example.org").register()
    await bob.log_in()
    end_sessions = text(
        """
        WITH ended AS (
            UPDATE identity.sessions SET ended_at = now(), end_reason = 'logout' WHERE user_id = :user_id
            RETURNING id
        )
        INSERT INTO identity.session_revocations (session_id, revoked_at, expires_at)
        SELECT id, now(), now() + interval '1 hour' FROM ended
        """
    )
    async with service.unit_of_work() as uow:
        # What an unfinished sign-out of somebody else holds, whatever takes it so long.
        await uow.session.execute(text("SELECT pg_advisory_xact_lock_shared(7261003)"))
        await uow.session.execute(end_sessions, {"user_id": UUID(ada.user_id)})
        with Watch() as watch:
            assert (await client.post(f"{AUTH}/logout", headers=bob.bearer)).status_code == 200
        assert watch.seconds < PROMPT_SECONDS / 2


async def test_a_revocation_that_commits_late_is_not_missed(client, ada, service, gateway_headers):
    bob = await type(ada)(client, "bob@example.org").register()
    await bob.log_in()
    insert = text(
        "INSERT INTO identity.session_revocations (session_id, revoked_at, expires_at)"
        " VALUES (:id, now(), now() + interval '1 hour')"
    )
    async with service.unit_of_work() as uow:
        await uow.session.execute(insert, {"id": UUID(int=1)})
        await client.post(f"{AUTH}/logout", headers=bob.bearer)
        early = (await client.get(FEED, headers=gateway_headers)).json()
    assert len(early["revocations"]) == 1
    late = (await client.get(FEED, params={"after": early["position"]}, headers=gateway_headers)).json()
    assert [one["session_id"] for one in late["revocations"]] == [str(UUID(int=1))]
    assert late["position"] > early["position"]
    everything = (await client.get(FEED, headers=gateway_headers)).json()
    assert everything["revocations"][0]["session_id"] == early["revocations"][0]["session_id"]


async def test_of_fifty_one_sign_ins_the_first_has_ended(client, ada, clock, events, service):
    first, second = ada.tokens, None
    for number in range(50):
        clock.advance(timedelta(seconds=1))
        await ada.log_in()
        second = second or ada.tokens
        await service.limits.after_login(ada.email, None)
        if number == 48:
            bearer = {"Authorization": f"Bearer {first['access_token']}"}
            assert (await client.get("/api/v1/users/me", headers=bearer)).status_code == 200
    assert await live(service) == 50
    assert (await client.get("/api/v1/users/me", headers=bearer)).status_code == 401
    assert (await ada.refresh(first["refresh_token"])).status_code == 401
    assert (await ada.refresh(second["refresh_token"])).status_code == 200
    assert (await events()).count("identity.session.revoked.v1") == 1


async def test_the_list_comes_in_pages(client, ada, clock):
    for _ in range(4):
        clock.advance(timedelta(seconds=1))
        await ada.log_in()
    whole = (await client.get(f"{AUTH}/sessions", headers=ada.bearer)).json()
    pages = [
        (
            await client.get(f"{AUTH}/sessions", params={"page": number, "page_size": 2}, headers=ada.bearer)
        ).json()
        for number in (1, 2, 3, 4)
    ]
    assert [len(page["sessions"]) for page in pages] == [2, 2, 1, 0]
    assert [one for page in pages for one in page["sessions"]] == whole["sessions"]
    assert {page["total"] for page in pages} == {whole["total"]} == {5}
    refused = await client.get(f"{AUTH}/sessions", params={"page_size": 101}, headers=ada.bearer)
    assert refused.status_code == 422


@pytest.mark.parametrize(("after", "left"), [(timedelta(hours=71), 3), (timedelta(hours=73), 2)])
async def test_an_ended_session_is_forgotten_three_days_after_its_end(
    client, ada, clock, service, after, left
):
    await ada.log_in()
    await client.post(f"{AUTH}/logout", headers=ada.bearer)
    await ada.log_in()
    clock.advance(after)
    await forget_what_expired(service)
    async with service.unit_of_work() as uow:
        assert await uow.session.scalar(text("SELECT count(*) FROM identity.sessions")) == left


@pytest.mark.parametrize(("after", "left"), [(timedelta(days=32), 2), (timedelta(days=34), 1)])
async def test_a_session_that_was_left_alone_is_forgotten_three_days_after_it_expired(
    ada, clock, service, after, left
):
    await ada.log_in()
    clock.advance(timedelta(days=20))
    await ada.refresh(ada.tokens["refresh_token"])
    clock.advance(after - timedelta(days=20))
    await forget_what_expired(service)
    async with service.unit_of_work() as uow:
        assert await uow.session.scalar(text("SELECT count(*) FROM identity.sessions")) == left


async def test_an_expired_session_makes_no_network_a_home(ada, clock, service):
    async def at_home() -> bool:
        async with service.unit_of_work() as uow:
            live_since = service.rules.live_since(clock.now())
            return await Sessions(uow.session).is_open_in("192.0.2.0/24", live_since, email_key=ada.email)

    async with service.unit_of_work() as uow:
        await uow.session.execute(text("UPDATE identity.sessions SET ip_prefix = '192.0.2.0/24'"))
    assert await at_home()
    clock.advance(timedelta(days=31))
    assert not await at_home()

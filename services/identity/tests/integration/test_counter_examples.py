"""Ways in which identity's report could lie: what was given out before, and what was still to be sent."""

from uuid import UUID

import pytest

from chassis.erasure import ErasureParticipation, OpenErasure
from contracts.participation import ErasureReported
from support.erasures import work_on_erasures

PASSWORD = "seven other irises"


@pytest.fixture
def erase(client, service, holdings):
    """Erase an account here; nobody waits for its last mail."""
    participation = ErasureParticipation(service.database, holdings, reported=ErasureReported.by("identity"))

    async def erased(person) -> None:
        asked = await client.request(
            "DELETE", "/api/v1/users/me", json={"confirm": True}, headers=person.bearer
        )
        now, erasure_id = service.clock.now(), UUID(asked.json()["erasure_id"])
        async with service.unit_of_work() as uow:
            await participation.accept(uow, OpenErasure(erasure_id, UUID(person.user_id), now, now))
        assert await work_on_erasures(participation, service.database) == 1

    return erased


async def rows_of(platform, *tables: str) -> dict[str, int]:
    connection = await platform.connect_as_admin()
    try:
        return {
            table: await connection.fetchval(f"SELECT count(*) FROM identity.{table}") for table in tables
        }
    finally:
        await connection.close()


async def test_ce02_whatever_was_given_out_before_opens_nothing_afterwards(
    platform, client, ada, mailbox, post_office, erase
):
    asked = await client.post("/api/v1/auth/request-password-reset", json={"email": ada.email})
    assert asked.status_code == 200
    await post_office()
    confirm, reset = mailbox.token(0), mailbox.token(-1)
    await erase(ada)

    answers = [
        await client.post("/api/v1/auth/verify-email", json={"token": confirm}),
        await client.post("/api/v1/auth/decline-address", json={"token": confirm}),
        await client.post("/api/v1/auth/reset-password", json={"token": reset, "new_password": PASSWORD}),
        await client.post("/api/v1/auth/refresh", json={"refresh_token": ada.tokens["refresh_token"]}),
        await client.get("/api/v1/users/me", headers=ada.bearer),
        await client.patch("/api/v1/users/me", json={"email": "b@example.org"}, headers=ada.bearer),
    ]

    assert {answer.status_code // 100 for answer in answers} == {4}
    assert set((await rows_of(platform, "users", "sessions", "mail_tokens", "mails")).values()) == {0}


async def test_ce04_use_of_a_token_that_the_gateway_tells_late_brings_no_session_back(
    platform, client, ada, gateway_headers, erase
):
    """The gateway remembers which tokens were used, and tells identity a little later."""
    connection = await platform.connect_as_admin()
    try:
        session_id = await connection.fetchval("SELECT id FROM identity.sessions")
    finally:
        await connection.close()
    await erase(ada)

    seen = {"seen": [{"session_id": str(session_id), "generation": 1}]}
    told = await client.post("/internal/sessions/seen", json=seen, headers=gateway_headers)

    assert told.status_code == 204
    assert await rows_of(platform, "users", "sessions") == {"users": 0, "sessions": 0}


async def test_ce09_mail_that_was_still_to_be_sent_is_never_sent(platform, ada, post_office, erase):
    assert (await rows_of(platform, "mails"))["mails"] >= 1
    await erase(ada)

    assert await rows_of(platform, "mails", "mail_tokens") == {"mails": 0, "mail_tokens": 0}
    assert await post_office() == []

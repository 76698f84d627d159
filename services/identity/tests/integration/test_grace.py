"""S-04: with a grace the account is closed at once; a mailed link opens it again, else it is erased."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from chassis.ids import new_id
from contracts.envelope import parse
from contracts.identity import UserDeleted, UserFrozen
from identity.models import ErasureHold
from identity.use_cases.erasure.end_graces import end_graces

HOURS = 24


@pytest.fixture(scope="module")
def settings(production_settings, cheap_hashes):
    return production_settings.model_copy(update={**cheap_hashes, "erasure_grace": HOURS})


@pytest.fixture
def status(client, deletion):
    """Return a function that shows the status of ada's deletion."""

    async def _status(tail=""):
        headers = {"X-Erasure-Token": deletion["status_token"]}
        return await client.get(f"/api/v1/privacy/erasures/{deletion['erasure_id']}{tail}", headers=headers)

    return _status


@pytest.fixture
def said(service):
    """Return a function that gives the events of a type that were written, in order."""

    async def _said(event):
        async with service.unit_of_work() as uow:
            query = text("SELECT body FROM identity.outbox WHERE type = :type ORDER BY position")
            rows = await uow.session.scalars(query, {"type": event.type})
            return [parse(body, event).data for body in rows]

    return _said


async def sign_in(ada):
    body = {"email": ada.email, "password": "correct horse battery staple"}
    return (await ada.client.post("/api/v1/auth/login/json", json=body)).status_code


async def cancel(client, token):
    return await client.post("/api/v1/auth/cancel-deletion", json={"token": token})


async def test_the_account_is_closed_at_once_and_nobody_is_asked_to_erase(
    client, ada, deletion, status, said
):
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 401
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 401
    assert await sign_in(ada) == 401
    assert await said(UserDeleted) == []
    (frozen,) = await said(UserFrozen)
    assert (str(frozen.user_id), str(frozen.erasure_id)) == (ada.user_id, deletion["erasure_id"])
    shown = (await status()).json()
    assert (shown["status"], shown["grace_until"]) == ("in_progress", deletion["grace_until"])
    assert [it["step"] for it in shown["steps"]] == ["requested", "grace"]
    assert (await status("/certificate")).status_code == 409
    unknown = await client.get(f"/api/v1/privacy/erasures/{deletion['erasure_id']}")
    assert unknown.status_code == 404


async def test_the_address_stays_theirs_meanwhile(client, ada, deletion):
    body = {"email": ada.email, "password": "another good password"}
    assert (await client.post("/api/v1/auth/register", json=body)).status_code == 409


async def test_the_mailed_link_opens_the_account_again_once(
    client, ada, deletion, status, post_office, mailbox, service, clock, said
):
    assert (await post_office())[-1] == "Your account will be deleted"
    token = mailbox.token()
    assert "/cancel-deletion#" in mailbox.link()
    assert (await cancel(client, "a-guess")).status_code == 401
    assert (await cancel(client, token)).status_code == 200
    assert (await cancel(client, token)).status_code == 401
    assert await sign_in(ada) == 200
    assert (await status()).status_code == 404
    clock.advance(timedelta(hours=HOURS + 1))
    assert await end_graces(service.database, rules=service.rules) == 0
    assert await said(UserDeleted) == []


async def test_when_it_is_over_the_erasure_begins_with_the_same_token(
    client, ada, deletion, status, post_office, mailbox, service, clock, said, report
):
    await post_office()
    clock.advance(timedelta(hours=HOURS, seconds=-1))
    assert await end_graces(service.database, rules=service.rules) == 0
    clock.advance(timedelta(seconds=1))
    assert await end_graces(service.database, rules=service.rules) == 1
    assert await end_graces(service.database, rules=service.rules) == 0
    (deleted,) = await said(UserDeleted)
    assert (str(deleted.user_id), str(deleted.erasure_id)) == (ada.user_id, deletion["erasure_id"])
    assert (await cancel(client, mailbox.token())).status_code == 401
    for participant in ("storage", "consent", "identity"):
        await report(participant)
    shown = (await status()).json()
    assert [it["step"] for it in shown["steps"]] == [
        "requested",
        "grace",
        "erasing",
        "verifying",
        "completed",
    ]
    claims = (await status("/certificate")).text
    assert claims.count(".") == 2


async def test_who_must_destroy_at_once_is_told_again_every_hour(deletion, service, clock, said):
    for _ in range(2):
        await end_graces(service.database, rules=service.rules)
    assert len(await said(UserFrozen)) == 1
    clock.advance(timedelta(hours=1, seconds=1))
    for _ in range(2):
        await end_graces(service.database, rules=service.rules)
    assert len(await said(UserFrozen)) == 2


async def test_a_second_deletion_changes_nothing(client, ada, deletion, said):
    again = await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=ada.bearer)
    assert again.status_code == 401
    assert len(await said(UserFrozen)) == 1


async def test_the_request_is_counted_with_what_is_held(ada, deletion, holdings):
    held = await holdings.count([UUID(ada.user_id)])
    assert held[UUID(ada.user_id)]["deletion_requests"] == 1


async def test_a_link_that_was_followed_is_used_up(client, deletion, post_office, mailbox, service):
    await post_office()
    assert (await cancel(client, mailbox.token())).status_code == 200
    async with service.unit_of_work() as uow:
        assert await uow.session.scalar(text("SELECT count(*) FROM identity.mail_tokens")) == 0


async def test_a_link_of_an_earlier_deletion_cancels_no_later_one(
    client, ada, deletion, post_office, mailbox
):
    await post_office()
    first = mailbox.token()
    assert (await cancel(client, first)).status_code == 200
    await ada.log_in()
    again = await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=ada.bearer)
    assert again.status_code == 200
    assert (await cancel(client, first)).status_code == 401
    assert await sign_in(ada) == 401


async def test_who_is_held_of_has_no_grace_because_it_begins_with_a_destruction(client, ada, service, said):
    async with service.unit_of_work() as uow:
        now = service.clock.now()
        uow.session.add(
            ErasureHold(
                id=new_id(),
                user_id=UUID(ada.user_id),
                service="storage",
                kind="photos",
                code="eu-gdpr:A17-3-e",
                legal_reference="Article 17(3)(e) GDPR",
                approver="Grace",
                placed_at=now,
                expires_at=now + timedelta(days=90),
            )
        )
    answer = await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=ada.bearer)
    assert (answer.status_code, answer.json()["grace_until"]) == (200, None)
    assert "closed and everything in it is being erased" in answer.json()["message"]
    (asked,) = await said(UserDeleted)
    assert [it.kind for it in asked.holds] == ["photos"]
    assert await said(UserFrozen) == []

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text

from chassis.erasure import ErasureParticipation, OpenErasure
from contracts.identity import UserDeleted
from contracts.participation import ErasureReported, ParticipantJoined
from identity.main import IDENTITY
from identity.use_cases.erasure.remind_participants import remind_participants
from support.erasures import work_on_erasures


def report(service, erasure_id, **said):
    return ErasureReported.by(service).of(erasure_id, **said)


@pytest.fixture
def participation(service, holdings):
    return ErasureParticipation(
        service.database,
        holdings,
        reported=ErasureReported.by("identity"),
    )


async def status_of(client, deletion):
    answer = await client.get(
        f"/api/v1/privacy/erasures/{deletion['erasure_id']}",
        headers={"X-Erasure-Token": deletion["status_token"]},
    )
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.parametrize("said", ["yes", "true", "on", 1, 1.0, "1", [True], None])
async def test_only_true_confirms_a_deletion(client, ada, said):
    answer = await client.request("DELETE", "/api/v1/users/me", json={"confirm": said}, headers=ada.bearer)
    assert answer.status_code == 422
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 200


@pytest.mark.parametrize("body", [None, {}, {"confirm": False}])
async def test_a_deletion_without_confirmation_changes_nothing(client, ada, body):
    answer = await client.request("DELETE", "/api/v1/users/me", json=body, headers=ada.bearer)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:irisvue:problem:confirmation-missing"
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 200


async def test_a_deletion_ends_everything_at_once(client, ada, deletion, events):
    told = {"message", "deleted_at", "erasure_id", "status_url", "status_token", "grace_until"}
    assert (set(deletion), deletion["grace_until"]) == (told, None)
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 401
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 401
    login = await client.post(
        "/api/v1/auth/login/json", json={"email": ada.email, "password": "correct horse battery staple"}
    )
    assert login.status_code == 401
    assert {"identity.user.deleted.v1", "identity.session.revoked.v1"} <= set(await events())


async def test_the_address_is_free_again_at_once(ada, deletion):
    again = await type(ada)(ada.client).register()
    assert again.user_id != ada.user_id


async def test_it_is_complete_only_when_every_participant_has_reported(
    client, ada, service, deletion, deliver, participation, events
):
    erasure_id = UUID(deletion["erasure_id"])
    status = await status_of(client, deletion)
    assert status["status"] == "in_progress"
    assert [part["service"] for part in status["participants"]] == ["consent", "identity", "storage"]
    now = service.clock.now()
    await deliver(report("storage", erasure_id, completed_at=now, erased={"photos": 3, "objects": 6}))
    await deliver(report("consent", erasure_id, completed_at=now, erased={"consent_entries": 2}))
    assert (await status_of(client, deletion))["status"] == "in_progress"
    await deliver(
        UserDeleted(
            user_id=UUID(ada.user_id),
            erasure_id=erasure_id,
            requested_at=now,
            deadline=now + timedelta(days=30),
        )
    )
    assert await work_on_erasures(participation, service.database) == 1
    assert "identity.erasure.reported.v1" in await events()
    await deliver(report("identity", erasure_id, completed_at=now, erased={"accounts": 1, "sessions": 1}))
    status = await status_of(client, deletion)
    assert status["status"] == "completed"
    assert {part["service"]: part["erased"] for part in status["participants"]}["storage"] == {
        "photos": 3,
        "objects": 6,
    }
    assert "identity.erasure.completed.v1" in await events()


async def test_nothing_of_the_person_is_left_afterwards(
    platform, ada, service, deletion, deliver, participation
):
    erasure_id, now = UUID(deletion["erasure_id"]), service.clock.now()
    for reporter in ("storage", "consent"):
        await deliver(report(reporter, erasure_id, completed_at=now, erased={}))
    await deliver(
        UserDeleted(user_id=UUID(ada.user_id), erasure_id=erasure_id, requested_at=now, deadline=now)
    )
    await work_on_erasures(participation, service.database)
    await deliver(report("identity", erasure_id, completed_at=now, erased={"accounts": 1}))
    connection = await platform.connect_as_admin()
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'identity'")
        for (table,) in tables:
            if table == "outbox":
                continue
            rows = await connection.fetch(f"SELECT t::text FROM identity.{table} t")
            for (row,) in rows:
                assert ada.user_id not in row, table
                assert ada.email not in row, table
    finally:
        await connection.close()


async def test_the_status_needs_its_token(client, deletion):
    path = f"/api/v1/privacy/erasures/{deletion['erasure_id']}"
    for headers in ({}, {"X-Erasure-Token": "guess"}):
        assert (await client.get(path, headers=headers)).status_code == 404
    assert (await client.get(path, params={"token": deletion["status_token"]})).status_code == 200


async def test_silent_participants_are_asked_again_and_reported_overdue(
    client, service, clock, deletion, events
):
    async def remind():
        async with service.unit_of_work() as uow:
            return await remind_participants(uow, base_pause=timedelta(minutes=1))

    assert await remind() == 0
    clock.advance(timedelta(minutes=2))
    assert await remind() == 1
    assert await remind() == 0
    clock.advance(timedelta(days=31))
    assert await remind() == 1
    assert (await events()).count("identity.user.deleted.v1") == 3
    assert (await events()).count("identity.erasure.overdue.v1") == 1
    assert (await status_of(client, deletion))["status"] == "overdue"


async def test_the_erasure_waits_for_the_farewell_and_fails_no_attempt_meanwhile(
    service, clock, deletion, post_office, ada
):
    tasks = service.database.tables.erasure_tasks
    participation = IDENTITY.participation(service)
    erasure = OpenErasure(UUID(deletion["erasure_id"]), UUID(ada.user_id), clock.now(), clock.now())
    async with service.unit_of_work() as uow:
        await participation.accept(uow, erasure)
    assert await participation.work_once() == 0
    async with service.database.read_only() as session:
        assert await session.scalar(select(tasks.c.attempts)) == 0
    await post_office()
    assert await participation.work_once() == 1


async def test_a_farewell_that_never_leaves_keeps_nobody_for_ever(service, settings, clock, deletion, ada):
    participation = IDENTITY.participation(service)
    erasure = OpenErasure(UUID(deletion["erasure_id"]), UUID(ada.user_id), clock.now(), clock.now())
    async with service.unit_of_work() as uow:
        await participation.accept(uow, erasure)
    assert await participation.work_once() == 0
    clock.advance(timedelta(minutes=settings.farewell_minutes, seconds=1))
    assert await participation.work_once() == 1


async def test_participants_find_their_open_erasures(client, ada, deletion, service_headers):
    answer = await client.get("/internal/erasures", headers=service_headers("storage", "identity"))
    assert answer.status_code == 200
    (item,) = answer.json()["items"]
    assert (item["erasure_id"], item["user_id"]) == (deletion["erasure_id"], ada.user_id)
    assert (
        await client.get("/internal/erasures", headers=service_headers("gateway", "identity"))
    ).status_code == 403


async def test_a_reported_erasure_is_no_longer_listed_for_its_reporter(
    client, service, deletion, deliver, service_headers
):
    await deliver(
        report("storage", UUID(deletion["erasure_id"]), completed_at=service.clock.now(), erased={})
    )
    storage = await client.get("/internal/erasures", headers=service_headers("storage", "identity"))
    consent = await client.get("/internal/erasures", headers=service_headers("consent", "identity"))
    assert (len(storage.json()["items"]), len(consent.json()["items"])) == (0, 1)


async def test_pages_of_open_erasures_cover_all(client, ada, service_headers):
    for number in range(5):
        person = await type(ada)(client, f"p{number}@example.org").register()
        await person.log_in()
        await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=person.bearer)
    found, after = [], ""
    while True:
        page = (
            await client.get(
                "/internal/erasures",
                params={"after": after, "limit": 2},
                headers=service_headers("storage", "identity"),
            )
        ).json()
        found += page["items"]
        after = page["next"]
        if not after:
            break
    assert len({item["erasure_id"] for item in found}) == 5


async def test_participants_announce_themselves_once(service, deliver):
    for version in ("0.1.0", "0.2.0"):
        await deliver(ParticipantJoined.by("storage").of(handles=("erasure",), version=version))
    async with service.unit_of_work() as uow:
        rows = (await uow.session.execute(text("SELECT service, version FROM identity.participants"))).all()
    assert [tuple(row) for row in rows] == [("storage", "0.2.0")]

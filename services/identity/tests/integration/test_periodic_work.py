"""What is asked again and again costs what has changed, however much has gathered beside it."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import event, text

from contracts.participation import ErasureReported
from contracts.topology import erasure_participants
from identity.main import PAGE, ask_silent_participants, forget_what_expired, own_open_erasures
from identity.repositories import Revocations
from identity.use_cases.erasure.collect_report import collect_report
from identity.use_cases.erasure.remind_participants import BATCH

STUCK = BATCH + 50
ERASURES = text(
    """
    INSERT INTO identity.erasures
        (id, user_id, status_token_hash, requested_at, deadline, asked_at, times_asked, overdue_at)
    SELECT gen_random_uuid(), gen_random_uuid(), '', :at, :at, :at, :times, :at
    FROM generate_series(1, :many)
    """
)
SMALL = {"signing_keys", "participants"}


@pytest.fixture
def asked(service):
    """Return what was asked of the database so far, with its values."""
    sent: list[tuple[str, tuple]] = []
    engine = service.database.engine.sync_engine

    def note(_connection, _cursor, statement, values, *_):
        sent.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


async def test_every_periodic_question_has_an_index(platform, service, post_office, asked):
    await forget_what_expired(service)
    await ask_silent_participants(service)
    await own_open_erasures(service)()
    await post_office()
    async with service.database.read_only() as session:
        await Revocations(session).has_news(0)
    assert len(asked) >= 12
    connection = await platform.connect_as_admin()
    try:
        # So dear that it is chosen only where nothing else leads to the rows.
        await connection.execute("SET enable_seqscan = off")
        for statement, values in asked:
            plan = [row[0] for row in await connection.fetch(f"EXPLAIN {statement}", *values)]
            read_whole = {
                line.partition("Seq Scan on ")[2].split()[0] for line in plan if "Seq Scan on" in line
            }
            assert read_whole <= SMALL, "\n".join([statement, *plan])
    finally:
        await connection.close()


async def test_erasures_whose_turn_comes_later_hold_up_no_reminder(client, ada, service, clock, events):
    later = {"at": clock.now() - timedelta(minutes=10), "times": 4, "many": STUCK}
    async with service.unit_of_work() as uow:
        await uow.session.execute(ERASURES, later)
    await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=ada.bearer)
    clock.advance(timedelta(minutes=2))
    await ask_silent_participants(service)
    assert (await events()).count("identity.user.deleted.v1") == 2


async def test_everybody_who_is_silent_is_asked_in_one_turn(service, clock, events):
    async with service.unit_of_work() as uow:
        await uow.session.execute(
            ERASURES, {"at": clock.now() - timedelta(hours=1), "times": 1, "many": STUCK}
        )
    await ask_silent_participants(service)
    assert (await events()).count("identity.user.deleted.v1") == STUCK
    await ask_silent_participants(service)
    assert (await events()).count("identity.user.deleted.v1") == STUCK


async def test_identity_finds_all_of_its_open_erasures(service, clock):
    async with service.unit_of_work() as uow:
        await uow.session.execute(ERASURES, {"at": clock.now(), "times": 1, "many": PAGE + 1})
    found = await own_open_erasures(service)()
    assert len({one.erasure_id for one in found}) == PAGE + 1


async def test_of_the_last_two_reports_at_once_one_completes_the_erasure(client, ada, service, clock, events):
    answer = await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=ada.bearer)
    erasure_id = UUID(answer.json()["erasure_id"])

    async def report(kind) -> None:
        async with service.unit_of_work() as uow:
            report = kind.of(erasure_id, completed_at=clock.now(), erased={"rows": 1})
            await collect_report(uow, report, certificates=service.certificates)

    for _ in range(2):
        await asyncio.gather(*map(report, map(ErasureReported.by, erasure_participants())))
    assert (await events()).count("identity.erasure.completed.v1") == 1

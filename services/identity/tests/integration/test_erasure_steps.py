"""K19: an erasure goes forward only, and each of its steps has a time."""

from datetime import timedelta

import asyncpg
import pytest
from structlog.testing import capture_logs

from chassis.database_url import read_database_url
from identity.main import IDENTITY
from identity.use_cases.erasure.remind_participants import remind_participants
from identity.use_cases.erasure.watch_open_erasures import alarm_of_late_erasures

PARTICIPANTS = ("storage", "consent", "identity")


@pytest.fixture
def steps(client, deletion):
    """Return a function that tells the steps of ada's erasure so far, and checks the order of their times."""

    async def _steps() -> list[str]:
        answer = await client.get(
            f"/api/v1/privacy/erasures/{deletion['erasure_id']}",
            headers={"X-Erasure-Token": deletion["status_token"]},
        )
        taken = answer.json()["steps"]
        assert [it["at"] for it in taken] == sorted(it["at"] for it in taken)
        return [it["step"] for it in taken]

    return _steps


async def test_each_step_is_told_with_its_time(steps, report, clock):
    assert await steps() == ["requested", "erasing"]
    clock.advance(timedelta(seconds=2))
    await report("storage", photos=3)
    assert await steps() == ["requested", "erasing", "verifying"]
    clock.advance(timedelta(seconds=2))
    await report("consent")
    assert await steps() == ["requested", "erasing", "verifying"]
    await report("identity", accounts=1)
    assert await steps() == ["requested", "erasing", "verifying", "completed"]


async def test_a_late_erasure_is_still_verified_and_completed(steps, report, clock, service):
    clock.advance(timedelta(days=31))
    async with service.unit_of_work() as uow:
        await remind_participants(uow, base_pause=timedelta(minutes=1))
    clock.advance(timedelta(minutes=1))
    for participant in PARTICIPANTS:
        await report(participant)
    assert await steps() == ["requested", "erasing", "overdue", "verifying", "completed"]


async def test_a_report_from_a_machine_whose_clock_is_behind_is_no_step_back(steps, report, clock):
    clock.advance(timedelta(seconds=-3))
    for participant in PARTICIPANTS:
        await report(participant)
    assert await steps() == ["requested", "erasing", "verifying", "completed"]


@pytest.mark.parametrize(
    "change",
    [
        "completed_at = NULL, user_id = gen_random_uuid()",
        "completed_at = completed_at + interval '1 s'",
        "verifying_at = NULL",
        "erasing_at = erasing_at - interval '1 s'",
        "requested_at = requested_at - interval '1 s'",
    ],
)
async def test_no_step_is_taken_back_not_even_by_an_operator(platform, report, change):
    for participant in PARTICIPANTS:
        await report(participant)
    connection = await platform.connect_as_admin()
    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(f"UPDATE identity.erasures SET {change}")
    finally:
        await connection.close()


async def test_the_service_can_not_delete_an_erasure(service, deletion, settings):
    connection = await asyncpg.connect(read_database_url(settings.database_url).dsn)
    try:
        for table in ("erasure_participants", "erasures"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"DELETE FROM identity.{table}")
    finally:
        await connection.close()


async def test_an_erasure_that_takes_hours_raises_an_alarm(service, deletion, report, clock):
    check = IDENTITY.create_worker(service).work.checks["erasures"]

    async def alarm() -> list[tuple[str, str, float]]:
        with capture_logs() as logs:
            await alarm_of_late_erasures(service.database)
        return [(it["log_level"], it["event"], it["oldest_hours"]) for it in logs]

    assert (await check(), await alarm()) == (None, [])
    clock.advance(timedelta(hours=2))
    assert await check() == "1 open for more than an hour, the oldest for 2.0 h"
    assert await alarm() == [("error", "erasures_open_too_long", 2.0)]
    clock.advance(timedelta(hours=23))
    assert await alarm() == [("critical", "erasures_open_too_long", 25.0)]
    for participant in PARTICIPANTS:
        await report(participant)
    assert (await check(), await alarm()) == (None, [])

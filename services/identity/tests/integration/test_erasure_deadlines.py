"""By when an erasure is promised: the strictest term of all laws, until the person's own laws are known."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from contracts.participation import ErasureReported
from identity.main import ask_silent_participants


@pytest.fixture
def shown(client, deletion):
    async def _shown():
        path = f"/api/v1/privacy/erasures/{deletion['erasure_id']}"
        return (await client.get(path, headers={"X-Erasure-Token": deletion["status_token"]})).json()

    return _shown


@pytest.fixture
def promised(shown):
    """Return a function that tells how long after the request the erasure is promised."""

    async def _promised():
        told = await shown()
        return datetime.fromisoformat(told["deadline"]) - datetime.fromisoformat(told["requested_at"])

    return _promised


@pytest.fixture
def consent_reports(deletion, deliver, clock):
    async def _report(within, *regimes):
        now = clock.now()
        report = ErasureReported.by("consent").of(
            UUID(deletion["erasure_id"]),
            completed_at=now,
            erased={"consent_entries": 1},
            regimes=regimes,
            deadline=None if within is None else now + within,
        )
        await deliver(report)

    return _report


async def test_before_any_law_is_known_the_strictest_of_all_holds(promised):
    assert await promised() == timedelta(days=10)


async def test_the_persons_own_laws_decide_once_they_are_known(
    promised, shown, consent_reports, service, clock, events
):
    await consent_reports(timedelta(days=30), "gdpr")
    assert await promised() == timedelta(days=30)
    clock.advance(timedelta(days=11))
    await ask_silent_participants(service)
    assert (await shown())["status"] == "in_progress"
    assert "identity.erasure.overdue.v1" not in await events()
    clock.advance(timedelta(days=20))
    await ask_silent_participants(service)
    assert (await shown())["status"] == "overdue"
    assert "identity.erasure.overdue.v1" in await events()


async def test_of_who_is_under_no_law_that_says_one_the_strictest_stays(promised, consent_reports):
    await consent_reports(None, "bipa")
    assert await promised() == timedelta(days=10)


async def test_services_that_know_no_law_change_nothing(promised, consent_reports, report):
    await consent_reports(timedelta(days=45), "ccpa")
    await report("storage", photos=1)
    assert await promised() == timedelta(days=45)

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chassis.consumer import Inbound, Outcome
from chassis.erasure import ErasureParticipation, OpenErasure
from chassis.holdings import Holdings
from chassis.ids import new_id
from chassis.problems import PersonErased
from consent.holdings import HOLDINGS
from consent.jurisdictions import Hints, resolve
from consent.main import CONSENT
from consent.rule_files import load_rulebook
from consent.use_cases.grant_consent import grant_consent
from consent.use_cases.what_was_shown import Agreement
from contracts.envelope import wrap
from contracts.fields import ConsentType
from contracts.identity import UserActive, UserDeleted
from support.erasures import work_on_erasures

NOWHERE = resolve(load_rulebook(), Hints(), datetime.now(UTC).date())
COLUMNS = """
    SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'consent'
    AND table_name NOT LIKE 'alembic%'
"""


async def places_of(admin, user_id) -> list[str]:
    """Every column of the schema in which the id stands, whatever its type."""
    found = []
    forms = [str(user_id), user_id.hex, str(user_id).encode().hex(), user_id.bytes.hex()]
    for row in await admin.fetch(COLUMNS):
        table, column = row["table_name"], row["column_name"]
        texts = await admin.fetch(f'SELECT "{column}"::text AS text FROM consent."{table}"')
        if any(form in (text["text"] or "") for text in texts for form in forms):
            found.append(f"{table}.{column}")
    return sorted(found)


@pytest.fixture
def participation(service) -> ErasureParticipation:
    return CONSENT.participation(service)


def deletion(user_id, clock) -> UserDeleted:
    now = clock.now()
    return UserDeleted(
        user_id=user_id, erasure_id=new_id(), requested_at=now, deadline=now + timedelta(days=30)
    )


async def deliver(service, event, clock, *, times: int = 1) -> None:
    body = wrap(event, event_id=new_id(), time=clock.now()).to_json()
    consumers = CONSENT.create_worker(service).work.consumers
    for consumer in (it for it in consumers if type(event) in it.handlers):
        inbound = Inbound(service.database, consumer)
        for _ in range(times):
            assert await inbound.process(body) is Outcome.DONE


async def reports(admin) -> list[dict]:
    rows = await admin.fetch("SELECT body FROM consent.outbox WHERE type = 'consent.erasure.reported.v1'")
    return [json.loads(row["body"])["data"] for row in rows]


async def test_after_an_erasure_no_column_leads_to_the_person(
    person, service, participation, admin, clock, ask
) -> None:
    ann, ben = person(), person()
    for consent_type in ConsentType:
        granted = (await ann.agree(consent_type, metadata={"me": str(ann.id)})).json()
    await ann.withdraw(granted["id"])
    await replace(ann, headers={**ann.headers, "Sec-GPC": "1"}).call("GET", "/preferences")
    await ben.agree()
    await deliver(service, UserActive(user_id=ann.id, active_on=clock.now().date()), clock)
    event = deletion(ann.id, clock)
    await deliver(service, event, clock, times=2)
    assert (await ask(ann.id)).json()["granted"] is False
    assert await work_on_erasures(participation, service.database) == 1
    [report] = await reports(admin)
    assert report["erasure_id"] == str(event.erasure_id)
    assert report["erased"] == {
        "consent_entries": 4,
        "consent_gates": 3,
        "last_activity": 1,
        "preferences": 1,
    }
    assert report["regimes"] == ["gdpr"]
    # What is left in the outbox are announcements that the broker has taken.
    assert await places_of(admin, ann.id) == ["outbox.body"]
    await admin.execute("DELETE FROM consent.outbox")
    assert await places_of(admin, ann.id) == []
    assert "entries.user_id" in await places_of(admin, ben.id)
    assert await admin.fetchval("SELECT count(commitment) FROM consent.entries") == 5


async def test_the_search_for_an_id_finds_it_wherever_it_stands(person, admin) -> None:
    ann = person()
    await ann.agree(metadata={"me": str(ann.id)})
    assert await places_of(admin, ann.id) == [
        "entries.metadata",
        "entries.user_id",
        "gates.user_id",
        "outbox.body",
        "outbox.subject",
    ]


async def test_whoever_has_asked_to_be_erased_can_do_nothing_more(
    person, service, participation, clock, ask, admin
) -> None:
    ann = person()
    granted = (await ann.agree()).json()
    await deliver(service, deletion(ann.id, clock), clock)
    for answer in [
        await ann.agree(),
        await ann.agree("marketing"),
        await ann.withdraw(granted["id"]),
        await ann.call("GET", "/consent"),
        await ann.call("GET", "/consent/biometric-status"),
    ]:
        assert answer.status_code == 401
        assert answer.json()["type"] == "urn:irisvue:problem:account-deleted"
    assert (await ask(ann.id)).json()["granted"] is False
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 1


async def test_an_erasure_of_somebody_unknown_is_reported_too(service, participation, admin, clock) -> None:
    await deliver(service, deletion(new_id(), clock), clock)
    await work_on_erasures(participation, service.database)
    [report] = await reports(admin)
    assert report["erased"] == {
        "consent_entries": 0,
        "consent_gates": 0,
        "last_activity": 0,
        "preferences": 0,
    }


async def test_a_lost_event_is_made_up_for_by_the_list_of_open_erasures(
    person, service, participation, admin, clock
) -> None:
    ann = person()
    await ann.agree()
    event = deletion(ann.id, clock)

    async def open_erasures() -> list[OpenErasure]:
        return [OpenErasure(event.erasure_id, event.user_id, event.requested_at, event.deadline)]

    await participation.reconcile(open_erasures)
    await work_on_erasures(participation, service.database)
    assert [report["erased"]["consent_entries"] for report in await reports(admin)] == [1]


async def test_a_grant_in_flight_is_erased_or_refused_but_never_left_behind(
    person, service, participation, clock, admin
) -> None:
    ann = person()

    async def agree_slowly() -> None:
        async with service.unit_of_work() as uow:
            await grant_consent(
                uow,
                Agreement(ConsentType.BIOMETRIC_CAPTURE, "gdpr", "2026-01", NOWHERE),
                user_id=ann.id,
                address_proved=False,
                limits=service.limits,
                rulebook=service.rulebook,
                clock=service.clock,
            )
            granted.set()
            await asyncio.wait_for(may_commit.wait(), timeout=5)

    granted, may_commit = asyncio.Event(), asyncio.Event()
    slow = asyncio.create_task(agree_slowly())
    await granted.wait()
    burial = asyncio.create_task(deliver(service, deletion(ann.id, clock), clock))
    done, _ = await asyncio.wait({burial}, timeout=0.2)
    assert not done, "the erasure began while a grant was being written"
    may_commit.set()
    await asyncio.gather(slow, burial)
    await work_on_erasures(participation, service.database)
    [report] = await reports(admin)
    assert report["erased"]["consent_entries"] == 1
    assert (await Holdings(service, HOLDINGS).count([ann.id]))[ann.id] == {
        "consent_entries": 0,
        "consent_gates": 0,
        "last_activity": 0,
        "preferences": 0,
    }
    with pytest.raises(PersonErased):
        async with service.unit_of_work() as uow:
            await uow.lock_subject(ann.id)

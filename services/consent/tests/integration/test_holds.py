"""What is held of the ledger stays as it was said; the rest is blanked, and that too when the hold ended."""

import itertools
import json
from datetime import timedelta
from uuid import UUID

import pytest

from chassis.consumer import Inbound, Outcome
from chassis.ids import new_id
from consent.main import CONSENT
from consent.use_cases.hold_entries import KIND
from contracts.envelope import wrap
from contracts.identity import Hold, UserDeleted
from support.erasures import work_on_erasures


@pytest.fixture
def erase(service, clock):
    """Return a function that has a person erased but for the entries of some consents, or for all."""
    erasure_id, participation = new_id(), CONSENT.participation(service)
    versions = itertools.count()

    async def _erase(person, *held):
        now = clock.now()
        holds = tuple(
            Hold(
                hold_id=new_id(),
                service="consent",
                kind=KIND,
                record=record,
                expires_at=now + timedelta(days=90),
            )
            for record in held
        )
        times = {"requested_at": now, "deadline": now + timedelta(days=10)}
        stated = {"holds": holds, "holds_version": next(versions)}
        event = UserDeleted(user_id=person.id, erasure_id=erasure_id, **times, **stated)
        (hears,) = (it for it in CONSENT.create_worker(service).work.consumers if UserDeleted in it.handlers)
        body = wrap(event, event_id=new_id(), time=now).to_json()
        assert await Inbound(service.database, hears).process(body) is Outcome.DONE
        await work_on_erasures(participation, service.database)

    return _erase


async def reports(admin) -> list[dict]:
    rows = await admin.fetch(
        "SELECT body FROM consent.outbox WHERE type = 'consent.erasure.reported.v1' ORDER BY position"
    )
    return [json.loads(row["body"])["data"] for row in rows]


async def entries_of(admin, person) -> int:
    return await admin.fetchval("SELECT count(*) FROM consent.entries WHERE user_id = $1", person.id)


async def test_the_entries_of_one_consent_can_be_held(person, erase, admin) -> None:
    ann = person()
    held = (await ann.agree()).json()["id"]
    await ann.withdraw(held)
    await ann.agree("marketing")
    await erase(ann, UUID(held))
    assert await entries_of(admin, ann) == 2
    (report,) = await reports(admin)
    assert (report["held"], report["erased"]["consent_entries"]) == ({KIND: 2}, 1)
    assert (await ann.call("GET", "/consent")).status_code == 401

    await erase(ann)
    assert await entries_of(admin, ann) == 0
    _, last = await reports(admin)
    assert (last["held"], last["erased"]["consent_entries"]) == ({}, 3)


async def test_all_entries_can_be_held_and_nothing_else_stays(person, erase, admin) -> None:
    ann = person()
    await ann.agree()
    await ann.agree("marketing")
    await erase(ann, None)
    assert await entries_of(admin, ann) == 2
    assert await admin.fetchval("SELECT count(*) FROM consent.gates") == 0


async def test_a_hold_of_a_consent_that_is_unknown_keeps_nothing(person, erase, admin) -> None:
    ann = person()
    await ann.agree()
    await erase(ann, new_id())
    assert await entries_of(admin, ann) == 0


async def test_nobody_is_blanked_whose_erasure_is_not_open(person, service, admin) -> None:
    ann = person()
    await ann.agree()
    await admin.execute("SET ROLE consent_app")
    with pytest.raises(Exception, match="no erasure of this person is open"):
        await admin.execute("SELECT consent.erase_person_but($1, $2)", ann.id, [])


async def test_a_report_says_by_when_the_strictest_law_wants_it_done(person, erase, admin, clock) -> None:
    ann = person()
    await ann.agree(jurisdiction="gdpr")
    await erase(ann)
    (report,) = await reports(admin)
    asked = clock.now()
    due = asked.replace(month=asked.month % 12 + 1, year=asked.year + asked.month // 12)
    assert report["regimes"] == ["gdpr"]
    assert report["deadline"] == due.isoformat().replace("+00:00", "Z")


async def test_where_no_law_is_known_no_deadline_is_told(person, erase, admin) -> None:
    await erase(person())
    (report,) = await reports(admin)
    assert report["deadline"] is None

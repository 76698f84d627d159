"""A participant keeps what is held and nothing else, says so, and goes on when the holds are others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chassis import erasure as erasure_module
from chassis.erasure import ErasureParticipation, OpenErasure
from chassis.holds import Hold
from chassis.ids import new_id
from chassis.replay import Replay
from contracts.envelope import parse
from contracts.participation import ErasureReported

REPORTED = ErasureReported.by("consent")
LATER = datetime.now(UTC) + timedelta(days=90)


def a_hold(kind="photos", *, expires_at=LATER):
    return Hold(new_id(), kind, None, expires_at)


class Shelf:
    """Photos and notes of people; a hold of photos keeps two of them."""

    def __init__(self, *people):
        self.photos = dict.fromkeys(people, 5)
        self.notes = dict.fromkeys(people, 1)
        self.before_erasing = None

    async def count(self, user_ids):
        return {it: {"photos": self.photos.get(it, 0), "notes": self.notes.get(it, 0)} for it in user_ids}

    async def erase_all_but(self, user_ids, holds, found):
        if self.before_erasing is not None:
            await self.before_erasing()
        kept = await self.kept(holds)
        for user_id in user_ids:
            self.photos[user_id] = kept.get(user_id, {}).get("photos", 0)
            self.notes[user_id] = 0

    async def kept(self, holds):
        found = {
            user_id: min(2, self.photos.get(user_id, 0))
            for user_id, theirs in holds.items()
            if any(hold.kind == "photos" for hold in theirs)
        }
        return {user_id: {"photos": number} for user_id, number in found.items() if number}

    async def people(self, *, at_once):
        yield sorted(self.photos)[:at_once]


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch):
    monkeypatch.setattr(erasure_module, "BACKOFF_SECONDS", (0.0, 0.0))


@pytest.fixture
def erasure(an_event):
    asked = an_event()
    known = (asked.erasure_id, asked.user_id, asked.requested_at, asked.deadline)
    return OpenErasure(*known, holds=(a_hold(),), holds_version=1)


def without_holds(erasure):
    return replace(erasure, holds=(), holds_version=erasure.holds_version + 1)


@pytest.fixture
def shelf(erasure):
    return Shelf(erasure.user_id)


@pytest.fixture
def participation(hearer, shelf):
    return ErasureParticipation(hearer, shelf, reported=REPORTED)


@pytest.fixture
def ask(hearer, participation):
    async def accept(erasure):
        async with hearer.unit_of_work() as uow:
            await participation.accept(uow, erasure)

    return accept


@pytest.fixture
def reports(rows):
    async def made():
        return [parse(row["body"], REPORTED).data for row in await rows("consent.outbox")]

    return made


async def test_all_but_what_is_held_is_erased_and_both_are_counted(
    participation, erasure, shelf, ask, reports, rows
):
    await ask(erasure)
    assert await participation.work_once() == 1
    assert (shelf.photos[erasure.user_id], shelf.notes[erasure.user_id]) == (2, 0)
    (report,) = await reports()
    assert (report.erased, report.held) == ({"photos": 3, "notes": 1}, {"photos": 2})
    assert (report.holds_version, report.nothing_held) == (1, False)
    (task,) = await rows("consent.erasure_tasks")
    assert (task["completed_at"], task["user_id"]) == (None, erasure.user_id)
    assert await participation.work_once() == 0


async def test_when_the_holds_have_ended_the_rest_goes_and_all_of_it_is_counted(
    participation, erasure, shelf, ask, reports, rows
):
    await ask(erasure)
    await participation.work_once()
    await ask(without_holds(erasure))
    assert await participation.work_once() == 1
    assert shelf.photos[erasure.user_id] == 0
    _, last = await reports()
    assert (last.erased, last.held) == ({"photos": 5, "notes": 1}, {})
    (task,) = await rows("consent.erasure_tasks")
    assert (task["completed_at"], task["user_id"]) == (last.completed_at, None)


async def test_whoever_has_not_heard_what_is_held_is_told_again(participation, erasure, ask, reports):
    await ask(erasure)
    await participation.work_once()
    await ask(erasure)
    assert await participation.work_once() == 1
    first, second = await reports()
    assert (first.held, first.erased) == (second.held, second.erased)


async def test_of_two_lists_of_holds_the_later_one_counts_in_whatever_order_they_come(
    participation, erasure, shelf, ask, reports
):
    later = replace(erasure, holds_version=2)
    await ask(later)
    await ask(replace(erasure, holds=(), holds_version=1))
    await participation.work_once()
    (report,) = await reports()
    assert (shelf.photos[erasure.user_id], report.holds_version) == (2, 2)
    await ask(replace(erasure, holds=(), holds_version=1))
    assert await participation.work_once() == 0


async def test_a_hold_whose_time_is_over_keeps_nothing_whoever_forgot_to_end_it(
    participation, erasure, shelf, ask, reports
):
    over = a_hold(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    await ask(replace(erasure, holds=(over,)))
    await participation.work_once()
    (report,) = await reports()
    assert (shelf.photos[erasure.user_id], report.held) == (0, {})


async def test_a_hold_of_something_that_is_not_there_delays_nothing(participation, erasure, ask, reports):
    await ask(replace(erasure, holds=(a_hold("letters"),)))
    await participation.work_once()
    (report,) = await reports()
    assert (report.held, report.erased) == ({}, {"photos": 5, "notes": 1})


async def test_who_works_under_holds_that_are_not_in_force_any_more_reports_nothing(
    participation, erasure, shelf, ask, reports
):
    async def they_end():
        shelf.before_erasing = None
        await ask(without_holds(erasure))

    shelf.before_erasing = they_end
    await ask(erasure)
    await participation.work_once()
    assert await reports() == []
    await participation.work_once()
    (report,) = await reports()
    assert (report.held, shelf.photos[erasure.user_id]) == ({}, 0)


async def test_others_are_erased_together_while_something_is_held_of_one(
    participation, erasure, shelf, ask, reports, an_event
):
    asked = an_event()
    other = OpenErasure(asked.erasure_id, asked.user_id, asked.requested_at, asked.deadline)
    shelf.photos[other.user_id] = 5
    for each in (erasure, other):
        await ask(each)
    assert await participation.work_once() == 2
    said = {report.erasure_id: report.held for report in await reports()}
    assert said == {erasure.erasure_id: {"photos": 2}, other.erasure_id: {}}


@pytest.mark.parametrize("held", [True, False])
async def test_a_restored_schema_keeps_what_the_coordinator_says_is_held_and_no_more(
    hearer, participation, erasure, shelf, rows, held
):
    async with hearer.unit_of_work() as uow:
        await uow.add_tombstone(erasure.user_id, erasure_id=erasure.erasure_id)

    async def standing():
        over = a_hold(expires_at=datetime.now(UTC) - timedelta(seconds=1))
        return {erasure.user_id: [over, *(erasure.holds if held else ())]}

    await Replay(hearer, shelf, participation, holds=standing).sweep()
    assert shelf.photos[erasure.user_id] == (2 if held else 0)
    (task,) = await rows("consent.erasure_tasks")
    assert task["completed_at"] is None

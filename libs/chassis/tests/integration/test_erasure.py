"""Taking part in erasures, with holdings that break halfway, resist and hide."""

import asyncio
import json

import pytest

from chassis import erasure as erasure_module
from chassis import work_table as work_table_module
from chassis.erasure import ErasureParticipation, OpenErasure
from chassis.http import NeighbourUnavailable
from chassis.ids import new_id
from chassis.problems import PersonErased
from contracts.envelope import parse
from contracts.participation import ErasureReported
from support import eventually

REPORTED = ErasureReported.by("consent")


class Holdings:
    """What a service holds of people, by kind; the test may break any step."""

    def __init__(self, **held):
        self.held = held
        self.faults = []
        self.steps = []

    async def count(self, user_ids):
        self.steps.append("count")
        return {user_id: dict(self.held) for user_id in user_ids}

    async def erase_all_but(self, user_ids, holds, found):
        assert not holds
        await self.erase(user_ids, found)

    async def kept(self, holds):
        assert not holds
        return {}

    async def erase(self, user_ids, found):
        self.steps.append("erase")
        for kind in self.held:
            if self.faults:
                fault = self.faults.pop(0)
                # Half of this kind is gone when it breaks.
                self.held[kind] //= 2
                raise fault
            self.held[kind] = 0


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch):
    monkeypatch.setattr(erasure_module, "BACKOFF_SECONDS", (0.0, 0.0))


@pytest.fixture
def participate(hearer):
    return lambda holdings: ErasureParticipation(hearer, holdings, reported=REPORTED)


@pytest.fixture
def opened(an_event):
    """Return a function that makes an erasure that somebody asked for."""

    def an_erasure(user_id=None):
        asked = an_event(user_id)
        return OpenErasure(asked.erasure_id, asked.user_id, asked.requested_at, asked.deadline)

    return an_erasure


@pytest.fixture
def ask(hearer):
    """Return a function that hands an erasure to a participant, as its consumer does."""

    async def accept(participation, erasure):
        async with hearer.unit_of_work() as uow:
            await participation.accept(uow, erasure)

    return accept


@pytest.fixture
def reports(rows):
    """Return a function that lists the reports made so far."""

    async def made():
        return [parse(row["body"], REPORTED).data for row in await rows("consent.outbox")]

    return made


async def test_report_counts_what_was_there_and_forgets_the_person(participate, opened, ask, reports, rows):
    holdings, erasure = Holdings(photos=3, consents=2), opened()
    participation = participate(holdings)
    await ask(participation, erasure)
    assert await participation.work_once() == 1

    (report,) = await reports()
    assert report.erasure_id == erasure.erasure_id
    assert report.erased == {"photos": 3, "consents": 2}
    assert holdings.steps == ["count", "erase", "count"]
    (task,) = await rows("consent.erasure_tasks")
    assert task["user_id"] is None
    assert task["completed_at"] == report.completed_at
    assert str(erasure.user_id) not in str(await rows("consent.outbox"))
    assert await participation.work_once() == 0


async def test_nothing_is_written_about_the_person_once_the_erasure_is_accepted(
    hearer, participate, opened, ask
):
    erasure = opened()
    await ask(participate(Holdings()), erasure)
    async with hearer.unit_of_work() as uow:
        with pytest.raises(PersonErased):
            await uow.lock_subject(erasure.user_id)


async def test_attempt_that_died_after_destroying_half_does_not_shrink_the_report(
    participate, opened, ask, reports
):
    holdings = Holdings(photos=8, consents=4)
    holdings.faults = [RuntimeError("canary"), TimeoutError()]
    participation = participate(holdings)
    await ask(participation, opened())
    for _ in range(2):
        assert await participation.work_once() == 1
        assert await reports() == []
    assert await participation.work_once() == 1

    (report,) = await reports()
    assert report.erased == {"photos": 8, "consents": 4}


async def test_laws_stay_known_when_what_told_them_is_destroyed(hearer, opened, ask, reports):
    erasure, holdings = opened(), Holdings(photos=1)
    known = {erasure.user_id: ["gdpr", "bipa"]}
    holdings.faults = [RuntimeError("canary")]

    async def regimes(people):
        return {user_id: known[user_id] for user_id in people if user_id in known}

    participation = ErasureParticipation(hearer, holdings, reported=REPORTED, regimes=regimes)
    await ask(participation, erasure)
    await participation.work_once()
    known.clear()
    await participation.work_once()
    # Whoever has not heard asks again.
    await ask(participation, erasure)
    assert [report.regimes for report in await reports()] == [("bipa", "gdpr")] * 2


async def test_failed_attempt_says_why_without_quoting_anything(participate, opened, ask, rows):
    holdings = Holdings(photos=2)
    holdings.faults = [RuntimeError("canary")]
    participation = participate(holdings)
    await ask(participation, opened())
    await participation.work_once()
    (task,) = await rows("consent.erasure_tasks")
    assert task["last_error"].startswith("RuntimeError in erase")
    assert (task["attempts"], task["lease_token"]) == (1, None)


async def test_residue_is_never_reported_and_is_tried_again_until_it_is_gone(
    participate, opened, ask, reports, rows
):
    class Hiding(Holdings):
        async def erase(self, user_ids, found):
            await super().erase(user_ids, found)
            if self.steps.count("erase") < 3:
                self.held["photos"] = 1

    holdings = Hiding(photos=5)
    participation = participate(holdings)
    await ask(participation, opened())
    for _ in range(2):
        await participation.work_once()
        assert await reports() == []
        (task,) = await rows("consent.erasure_tasks")
        assert task["completed_at"] is None
        assert "ErasureIncomplete" in task["last_error"]
    await participation.work_once()
    (report,) = await reports()
    assert report.erased == {"photos": 5}


async def test_asking_again_makes_no_second_task_and_asks_a_finished_one_to_repeat_itself(
    participate, opened, ask, reports, rows
):
    participation, erasure = participate(Holdings(photos=3)), opened()
    await ask(participation, erasure)
    await ask(participation, erasure)
    assert await reports() == []
    await participation.work_once()
    await ask(participation, erasure)

    first, second = await reports()
    assert first == second
    assert len(await rows("consent.erasure_tasks")) == 1
    assert await participation.work_once() == 0


async def test_reconciling_takes_on_what_no_message_brought(participate, opened, reports, rows):
    erasures = [opened() for _ in range(3)]

    async def still_waiting():
        return erasures

    participation = participate(Holdings(photos=1))
    assert await participation.reconcile(still_waiting) == 3
    assert await participation.reconcile(still_waiting) == 3
    assert len(await rows("consent.erasure_tasks")) == 3
    await participation.work_once()
    assert {report.erasure_id for report in await reports()} == {erasure.erasure_id for erasure in erasures}


async def test_coordinator_out_of_reach_is_a_fault_that_passes(participate):
    async def unreachable():
        raise NeighbourUnavailable

    with pytest.raises(NeighbourUnavailable):
        await participate(Holdings()).reconcile(unreachable)


async def test_erasure_that_fails_does_not_hold_up_the_others(participate, opened, ask, reports):
    stubborn, easy = opened(), opened()

    class Stubborn(Holdings):
        async def erase(self, user_ids, found):
            if stubborn.user_id in user_ids:
                raise RuntimeError

    participation = participate(Stubborn())
    for erasure in (stubborn, easy):
        await ask(participation, erasure)
    await participation.work_once()
    assert [report.erasure_id for report in await reports()] == [easy.erasure_id]


async def test_those_who_come_together_are_erased_together(participate, opened, ask, reports):
    holdings, asked = Holdings(photos=3), [opened() for _ in range(16)]
    participation = participate(holdings)
    for erasure in asked:
        await ask(participation, erasure)
    assert await participation.work_once() == 16
    assert holdings.steps == ["count", "erase", "count"]
    made = await reports()
    assert {report.erasure_id for report in made} == {erasure.erasure_id for erasure in asked}
    assert [report.erased for report in made] == [{"photos": 3}] * 16


async def test_what_is_left_of_one_person_delays_nobody_else(participate, opened, ask, reports, rows):
    resisting, others = opened(), [opened() for _ in range(3)]

    class Resisting(Holdings):
        async def count(self, user_ids):
            held = await super().count(user_ids)
            return {user_id: {"photos": int(user_id == resisting.user_id)} for user_id in held}

    participation = participate(Resisting())
    for erasure in (resisting, *others):
        await ask(participation, erasure)
    await participation.work_once()
    assert {report.erasure_id for report in await reports()} == {one.erasure_id for one in others}
    (waiting,) = [row for row in await rows("consent.erasure_tasks") if row["completed_at"] is None]
    assert (waiting["attempts"], waiting["last_error"]) == (1, "ErasureIncomplete")


class Staged(Holdings):
    """Holdings whose first count waits until the test lets it go on."""

    def __init__(self, **held):
        super().__init__(**held)
        self.counting = asyncio.Event()
        self.go_on = asyncio.Event()

    async def count(self, user_ids):
        if "count" not in self.steps:
            self.counting.set()
            await self.go_on.wait()
        return await super().count(user_ids)


@pytest.fixture
def lose_the_lease(scratch):
    async def expire():
        await scratch.execute(
            "UPDATE consent.erasure_tasks SET lease_until = now() - interval '1 s' "
            "WHERE lease_until IS NOT NULL"
        )

    return expire


async def test_two_workers_never_work_on_the_same_task(participate, opened, ask, reports):
    holdings = Staged(photos=4)
    await ask(participate(holdings), opened())
    first = asyncio.create_task(participate(holdings).work_once())
    await holdings.counting.wait()
    assert await participate(holdings).work_once() == 0
    holdings.go_on.set()
    assert await first == 1
    assert len(await reports()) == 1


async def test_worker_that_lost_its_lease_neither_reports_nor_destroys_what_nobody_counted(
    participate, opened, ask, reports, lose_the_lease
):
    slow = Staged(photos=4)
    await ask(participate(slow), opened())
    stalled = asyncio.create_task(participate(slow).work_once())
    await slow.counting.wait()
    await lose_the_lease()

    second = Staged()
    second.held = slow.held
    working = asyncio.create_task(participate(second).work_once())
    await second.counting.wait()
    slow.go_on.set()
    await stalled
    # The second worker holds the task and has not counted yet: everything must still be there.
    assert slow.steps == ["count"]
    assert await reports() == []
    second.go_on.set()
    await working

    (report,) = await reports()
    assert report.erased == {"photos": 4}


async def test_both_workers_at_the_end_make_one_report(participate, opened, ask, reports, lose_the_lease):
    class StalledAtTheEnd(Holdings):
        verifying, go_on = asyncio.Event(), asyncio.Event()

        async def count(self, user_ids):
            if "erase" in self.steps:
                self.verifying.set()
                await self.go_on.wait()
            return await super().count(user_ids)

    slow = StalledAtTheEnd(photos=4)
    await ask(participate(slow), opened())
    stalled = asyncio.create_task(participate(slow).work_once())
    await slow.verifying.wait()
    await lose_the_lease()
    other = Holdings()
    other.held = slow.held
    assert await participate(other).work_once() == 1
    slow.go_on.set()
    await stalled
    (report,) = await reports()
    assert report.erased == {"photos": 4}


async def test_database_lost_on_the_way_leaves_the_task_to_a_later_attempt(
    open_database, database_proxy, opened, ask, participate, reports, lose_the_lease
):
    holdings = Holdings(photos=4)
    erase = holdings.erase

    async def erase_and_lose_the_database(user_id):
        await erase(user_id)
        database_proxy.cut(refusing=True)

    holdings.erase = erase_and_lose_the_database
    await ask(participate(holdings), opened())
    unlucky = ErasureParticipation(open_database("consent", via=database_proxy), holdings, reported=REPORTED)
    await unlucky.work_once()
    assert await reports() == []

    holdings.erase = erase
    await lose_the_lease()
    await participate(holdings).work_once()
    (report,) = await reports()
    assert report.erased == {"photos": 4}


async def test_accepted_erasure_wakes_the_worker_and_a_running_one_survives_failures(
    participate, opened, ask, reports, monkeypatch
):
    monkeypatch.setattr(work_table_module, "IDLE_POLL_SECONDS", 60)
    holdings = Holdings(photos=2)
    holdings.faults = [TimeoutError(), RuntimeError()]
    participation = participate(holdings)
    running = asyncio.create_task(participation.run())

    async def reported():
        assert len(await reports()) == 1

    await ask(participation, opened())
    await eventually(reported)
    assert not running.done()
    running.cancel()
    await asyncio.wait([running])


async def test_erasure_is_not_reported_while_the_outbox_names_the_person(
    hearer, participate, opened, ask, reports, rows, scratch, an_event
):
    participation, erasure, somebody_else = participate(Holdings(photos=3)), opened(), opened()
    async with hearer.unit_of_work() as uow:
        # The broker is away, so what was announced about them stays.
        for _ in range(3):
            uow.publish(an_event(erasure.user_id))
        uow.publish(an_event(somebody_else.user_id))
    await ask(participation, erasure)
    for _ in range(2):
        await participation.work_once()
        (task,) = await rows("consent.erasure_tasks")
        assert task["completed_at"] is None
        assert "ErasureIncomplete" in task["last_error"]
    await scratch.execute(f"DELETE FROM consent.outbox WHERE subject = 'users/{erasure.user_id}'")
    await participation.work_once()

    left = [row for row in await rows("consent.outbox") if row["type"] != REPORTED.type]
    assert [row["subject"] for row in left] == [f"users/{somebody_else.user_id}"]
    (task,) = await rows("consent.erasure_tasks")
    assert json.loads(task["erased"]) == {"photos": 3}
    assert task["completed_at"] is not None


async def test_reconciling_waits_for_nothing_while_the_broker_is_away(
    hearer, participate, opened, rows, scratch, an_event
):
    participation, erasure = participate(Holdings(photos=1)), opened()
    async with hearer.unit_of_work() as uow:
        uow.publish(an_event(erasure.user_id))

    async def still_waiting():
        return [erasure]

    running = asyncio.create_task(participation.run())
    try:
        for _ in range(3):
            assert await asyncio.wait_for(participation.reconcile(still_waiting), timeout=5) == 1
        await scratch.execute(f"DELETE FROM consent.outbox WHERE subject = 'users/{erasure.user_id}'")

        async def reported():
            (task,) = await rows("consent.erasure_tasks")
            assert task["completed_at"] is not None

        await eventually(reported)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_erasure_that_failed_1030_times_is_tried_once_more_and_holds_nobody(
    participate, opened, ask, reports, rows, scratch, monkeypatch
):
    monkeypatch.setattr(erasure_module, "BACKOFF_SECONDS", (0.5, 60.0))
    stubborn, easy = opened(), opened()

    class Stubborn(Holdings):
        async def erase(self, user_ids, found):
            if stubborn.user_id in user_ids:
                raise RuntimeError

    participation = participate(Stubborn())
    await ask(participation, stubborn)
    await scratch.execute("UPDATE consent.erasure_tasks SET attempts = 1030")
    running = asyncio.create_task(participation.run())

    async def failed_once_more():
        (task,) = [row for row in await rows("consent.erasure_tasks") if row["completed_at"] is None]
        assert (task["attempts"], task["lease_token"]) == (1031, None)

    try:
        await eventually(failed_once_more)
        await ask(participation, easy)

        async def the_other_is_reported():
            assert [report.erasure_id for report in await reports()] == [easy.erasure_id]

        await eventually(the_other_is_reported)
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_unknown_person_is_reported_with_nothing_erased(participate, opened, ask, reports):
    participation = participate(Holdings())
    await ask(participation, opened(new_id()))
    await participation.work_once()
    (report,) = await reports()
    assert report.erased == {}

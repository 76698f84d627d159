"""Storage follows consent's feed by its position: a lost message loses nothing, and idling costs nothing."""

import asyncio
import itertools
import sys
import time
from datetime import timedelta

import pytest

from chassis.http import NeighbourUnavailable
from chassis.ids import new_id
from storage.repositories import FeedPositions, Gates
from storage.use_cases.reconcile_consents import reconcile_consents

MANY = 100_000
IDLE_SECONDS = 0.05
OPEN_GATES = """
    INSERT INTO storage.consent_gates (user_id, epoch, granted, consent_id, withdrawn_epoch, checked_at)
    SELECT gen_random_uuid(), 1, true, gen_random_uuid(), 0, $2 FROM generate_series(1, $1)
"""


@pytest.fixture
def follow(service):
    """Follow the feed to its end; return how many gates were behind."""

    async def _follow():
        return await reconcile_consents(service.database, service.consents)

    return _follow


@pytest.fixture
def known(service):
    """What storage knows of a person's consent, and how far it has followed."""

    async def _known(user_id):
        async with service.unit_of_work() as uow:
            gate = await Gates(uow.session).find(user_id)
            position = await FeedPositions(uow.session).current()
        return gate and (gate.epoch, gate.granted), position

    return _known


async def test_an_idle_pass_over_a_hundred_thousand_open_gates_costs_nothing(
    platform, service, consent, ada, follow
):
    connection = await platform.connect_as_admin()
    await connection.execute(OPEN_GATES, MANY, service.clock.now() - timedelta(days=1))
    await connection.execute("ANALYZE storage.consent_gates")
    await connection.close()
    assert await follow() == 1
    asked, times = consent.asked, []
    for _ in range(5):
        began = time.perf_counter()
        assert await follow() == 0
        times.append(time.perf_counter() - began)
    assert min(times) <= IDLE_SECONDS
    assert consent.asked == asked


async def test_long_way_leaves_consent_two_thirds_of_its_time(service, consent, follow, monkeypatch):
    consent.page_size = 1
    for _ in range(5):
        consent.grant(new_id())
    assert await follow() == 5
    async with service.unit_of_work() as uow:
        # From the beginning again, where nothing is news: whoever has withdrawn waits for no rest.
        await FeedPositions(uow.session).move(0)
    ask, asked = service.consents.changes, []

    async def timed(*, after):
        began = time.monotonic()
        # A page that takes long, as one of many gates does.
        pages = [await ask(after=after) for _ in range(20)]
        asked.append((began, time.monotonic()))
        return pages[-1]

    monkeypatch.setattr(service.consents, "changes", timed)
    assert await follow() == 0
    assert len(asked) == 5
    rests = sum(begins - ended for (_, ended), (begins, _) in itertools.pairwise(asked))
    questions = sum(ended - began for began, ended in asked[:-1])
    # A timer may be a millisecond early.
    assert rests >= 2 * questions - 0.001 * len(asked)


async def test_every_page_is_taken_over_and_the_position_kept(consent, follow, known):
    consent.page_size = 3
    people = [new_id() for _ in range(8)]
    for person in people:
        consent.grant(person)
    consent.withdraw(people[0])
    assert await follow() == 8
    assert await known(people[0]) == ((2, False), 9)
    assert await known(people[7]) == ((1, True), 9)
    consent.withdraw(people[7])
    pages = consent.pages
    assert await follow() == 1
    assert await known(people[7]) == ((2, False), 10)
    assert consent.pages == pages + 1


async def test_a_change_that_was_heard_of_already_moves_nothing(consent, deliver, follow, known):
    person = new_id()
    await deliver(consent.grant(person))
    assert await follow() == 0
    assert await known(person) == ((1, True), 1)


async def test_while_consent_is_away_the_position_stays(consent, follow, known):
    person = new_id()
    consent.grant(person)
    consent.down = True
    with pytest.raises(NeighbourUnavailable):
        await follow()
    assert await known(person) == (None, 0)
    consent.down = False
    assert await follow() == 1


async def test_a_restored_consent_service_is_followed_from_its_beginning(service, consent, follow, known):
    person = new_id()
    consent.grant(person)
    async with service.unit_of_work() as uow:
        await FeedPositions(uow.session).move(10**15)
    assert await follow() == 1
    assert await known(person) == ((1, True), 1)


async def test_a_change_of_who_is_erased_is_passed_over(service, consent, follow, known):
    person = new_id()
    consent.grant(person)
    async with service.unit_of_work() as uow:
        await uow.add_tombstone(person)
    assert await follow() == 1
    assert await known(person) == (None, 1)


async def test_an_operator_compares_every_open_gate(platform, service, consent, known, deliver):
    person = new_id()
    await deliver(consent.grant(person))
    consent.withdraw(person)
    async with service.unit_of_work() as uow:
        await FeedPositions(uow.session).move(2)
    environment = platform.environment("storage") | {"STORAGE_CONSENT_URL": consent.url}
    command = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "storage",
        "reconcile",
        "--all",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await command.communicate()
    assert (command.returncode, said) == (0, b"1 open gates were compared\n")
    assert await known(person) == ((2, False), 2)

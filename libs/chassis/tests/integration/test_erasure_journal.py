"""R29, K22: who was erased stands in the object store before it is reported; a restored schema is closed."""

import json
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256

import aiohttp
import pytest
from sqlalchemy import delete, insert, select, text, update

from chassis import erasure_journal as journal_module
from chassis.erasure import ErasureIncomplete, ErasureParticipation, OpenErasure
from chassis.erasure_journal import DatabaseRestored, ErasureJournal, NotAbsorbed
from chassis.ids import new_id
from chassis.incarnation import is_current
from chassis.journal_page import JournalBroken
from chassis.object_store import ObjectStore, ObjectStoreSettings, open_object_store
from chassis.object_store_faults import ObjectStoreUnavailable
from chassis.replay import Replay
from contracts.envelope import parse
from contracts.participation import ErasureReported
from support import eventually
from support.platform import noted_as_current
from support.store_requests import requests_to

FOLDER = "consent/"
REPORTED = ErasureReported.by("consent")
BACK = "INSERT INTO consent.journal_head (position, digest, incarnation) VALUES (:position, :digest, '')"


@pytest.fixture
def settings(journal_store) -> ObjectStoreSettings:
    return ObjectStoreSettings(**journal_store)


@pytest.fixture
def away(settings) -> ObjectStoreSettings:
    """A store that nobody can reach."""
    return replace(settings, endpoint_url="http://127.0.0.1:1", tries=1)


@pytest.fixture
async def store(settings, hearer) -> AsyncIterator[ObjectStore]:
    """The object store without a journal, and the schema that knows of none."""
    async with open_object_store(settings) as objects:
        await objects.delete_everything(FOLDER)
        head = hearer.tables.journal_head
        async with hearer.unit_of_work() as uow:
            await uow.session.execute(text(noted_as_current("consent")))
            await uow.session.execute(update(head).values(position=0, digest=""))
        yield objects


@pytest.fixture
def swept() -> list[int]:
    return []


@pytest.fixture
def journal(hearer, store, swept) -> ErasureJournal:
    async def sweep() -> None:
        swept.append(1)

    return ErasureJournal(hearer, store, sweep=sweep)


@pytest.fixture
def bury(hearer):
    """Return a function that raises the tombstones of so many people, and returns their hashes."""

    async def some(number: int) -> set[str]:
        people = [new_id() for _ in range(number)]
        async with hearer.unit_of_work() as uow:
            await uow.add_tombstone(*people)
        return {hearer.person_hash(user_id) for user_id in people}

    return some


@pytest.fixture
def restore(hearer):
    """Return a function that leaves the schema as a restored dump does: older, in a file of its own."""

    async def back_to(position: int = 0, digest: str = "") -> None:
        tables = hearer.tables
        async with hearer.unit_of_work() as uow:
            await uow.session.execute(text("TRUNCATE consent.journal_head"))
            await uow.session.execute(text(BACK), {"position": position, "digest": digest})
            await uow.session.execute(
                delete(tables.tombstones).where(
                    tables.tombstones.c.journal_page.is_(None) | (tables.tombstones.c.journal_page > position)
                )
            )
            await uow.session.execute(delete(tables.journal_pages))

    return back_to


async def bodies(store: ObjectStore) -> list[bytes]:
    names = await store.names_after(FOLDER, FOLDER, most=1000)
    return [await store.download(name, most_bytes=10**6) for name in names]


async def stones(database) -> set[str]:
    async with database.read_only() as session:
        return set(await session.scalars(select(database.tables.tombstones.c.subject_hash)))


async def test_tombstones_are_stored_in_one_chain_of_pages(journal, store, bury, hearer) -> None:
    first = await bury(3)
    await journal.keep()
    second = await bury(2)
    assert await journal.tell() == "2 erasures are not in the journal yet"
    await journal.keep()
    await journal.keep()

    stored = await bodies(store)
    pages = [json.loads(body) for body in stored]
    assert [{entry["subject"] for entry in page["entries"]} for page in pages] == [first, second]
    assert [page["position"] for page in pages] == [1, 2]
    assert [page["previous"] for page in pages] == ["", sha256(stored[0]).hexdigest()]
    assert await journal.tell() is None
    assert len([version async for version in store.versions(FOLDER)]) == len(pages)


async def test_page_takes_four_round_trips_and_one_request_to_the_store(
    open_database, round_trips, scratch, store, bury
) -> None:
    database = open_database("consent", pool_size=1, url=round_trips.way(scratch.url()))

    async def nobody() -> None:
        pass

    journal = ErasureJournal(database, store, sweep=nobody)
    for _ in range(2):
        # The first time prepares the statements of the connection.
        await bury(1)
        with requests_to(store) as asked, round_trips.within(1000) as taken:
            await journal.keep()
    assert asked == ["PutObject"]
    assert len(taken) <= 4, "\n".join(taken)


async def test_page_that_somebody_else_has_not_stored_yet_comes_first(journal, store, bury, hearer) -> None:
    await bury(1)
    page, _ = await journal._seal()
    await bury(1)
    await journal.keep()
    assert [json.loads(body)["position"] for body in await bodies(store)] == [page.position, 2]
    assert await journal.tell() is None


async def test_page_that_was_stored_before_a_crash_is_not_stored_again(journal, store, bury, hearer) -> None:
    await bury(1)
    await journal.keep()
    [body] = await bodies(store)
    async with hearer.one_statement() as session:
        await session.execute(insert(hearer.tables.journal_pages).values(position=1, body=body))
    await journal.keep()
    assert len([version async for version in store.versions(FOLDER)]) == 1


class Everything:
    """Holdings of people, of whom nothing is left after an erasure, unless it resists."""

    def __init__(self, *people, resists: bool = False) -> None:
        self.held = set(people)
        self.resists = resists

    async def count(self, user_ids):
        return {user_id: {"photos": int(user_id in self.held)} for user_id in user_ids}

    async def erase(self, user_ids, found):
        if not self.resists:
            self.held -= set(user_ids)

    async def erase_all_but(self, user_ids, holds, found):
        await self.erase([user_id for user_id in user_ids if user_id not in holds], found)

    async def kept(self, holds):
        return {user_id: {"photos": 1} for user_id in holds if user_id in self.held}

    async def people(self, *, at_once):
        yield sorted(self.held)[:at_once]


async def test_nothing_is_reported_while_the_store_is_away(hearer, away, an_event, rows, store) -> None:
    async def nobody() -> None:
        pass

    asked = an_event()
    async with open_object_store(away) as gone:
        lost, kept = (ErasureJournal(hearer, objects, sweep=nobody) for objects in (gone, store))
        participation = ErasureParticipation(
            hearer, Everything(asked.user_id), reported=REPORTED, keep=[lost.keep]
        )
        async with hearer.unit_of_work() as uow:
            await participation.accept(
                uow, OpenErasure(asked.erasure_id, asked.user_id, asked.requested_at, asked.deadline)
            )
        await participation.work_once()
        assert await rows("consent.outbox") == []
        [task] = await rows("consent.erasure_tasks")
        assert task["last_error"].startswith("ObjectStoreUnavailable")
        with pytest.raises(ObjectStoreUnavailable):
            await lost.keep()
    await kept.keep()
    [body] = await bodies(store)
    assert json.loads(body)["entries"][0]["erasure_id"] == str(asked.erasure_id)


async def test_restored_schema_adds_nothing_until_it_has_absorbed_the_journal(
    journal, store, bury, restore, hearer, swept
) -> None:
    known = await bury(2)
    await journal.keep()
    [first] = await bodies(store)
    lost = await bury(3)
    await journal.keep()
    await restore(1, sha256(first).hexdigest())

    assert not await is_current(hearer)
    late = await bury(1)
    with pytest.raises(NotAbsorbed):
        await journal.keep()
    with pytest.raises(DatabaseRestored):
        await journal.confirm()
    assert len(await bodies(store)) == 2

    assert await journal.absorb() == 3
    assert swept == [1]
    assert await is_current(hearer)
    assert await stones(hearer) == known | lost | late
    await journal.keep()
    third = json.loads((await bodies(store))[2])
    assert {entry["subject"] for entry in third["entries"]} == late


async def test_known_schema_starts_without_the_store(hearer, away, store, swept) -> None:

    async def sweep() -> None:
        swept.append(1)

    async with open_object_store(away) as gone:
        journal = ErasureJournal(hearer, gone, sweep=sweep)
        assert await journal.absorb() == 0
        await journal.confirm()
        async with hearer.one_statement() as session:
            await session.execute(update(hearer.tables.journal_head).values(incarnation="another"))
        with pytest.raises(ObjectStoreUnavailable):
            await journal.absorb()
        assert not await is_current(hearer)


async def test_schema_that_has_missed_nothing_is_confirmed_after_a_new_start_of_its_server(
    hearer, journal, bury, swept
) -> None:
    await bury(1)
    await journal.keep()
    async with hearer.one_statement() as session:
        await session.execute(update(hearer.tables.journal_head).values(incarnation="another"))
    await journal.confirm()
    assert await is_current(hearer)
    assert swept == []


@pytest.mark.parametrize("what", ["changed", "missing", "of another key"])
async def test_journal_that_can_not_be_followed_opens_nothing(
    hearer, journal, store, bury, restore, what
) -> None:
    for _ in range(2):
        await bury(2)
        await journal.keep()
    first, second = await store.names_after(FOLDER, FOLDER, most=2)
    body = await store.download(first, most_bytes=10**6)
    match what:
        case "changed":
            await store.upload(first, body.replace(b'"position":1', b'"position": 1'))
        case "missing":
            await store.delete(first)
        case _:
            await store.upload(first, body.replace(json.loads(body)["key"].encode(), b"00000000"))
    await restore()
    with pytest.raises(JournalBroken):
        await journal.absorb()
    assert not await is_current(hearer)
    assert second


async def test_page_of_a_schema_that_was_restored_under_a_running_worker_takes_nobodys_place(
    hearer, journal, store, bury
) -> None:
    await bury(1)
    await journal.keep()
    # The rows of before, in the same file: nothing tells but the journal itself.
    async with hearer.one_statement() as session:
        await session.execute(update(hearer.tables.journal_head).values(position=0, digest=""))
    await bury(1)
    with pytest.raises(DatabaseRestored):
        await journal.keep()
    assert len([version async for version in store.versions(FOLDER)]) == 1


async def test_replay_erases_whom_the_restored_rows_hold_and_reports_it(hearer, rows) -> None:
    erased, living = new_id(), new_id()
    erasure_id = new_id()
    async with hearer.unit_of_work() as uow:
        await uow.add_tombstone(erased, erasure_id=erasure_id)
    holdings = Everything(erased, living)
    participation = ErasureParticipation(hearer, holdings, reported=REPORTED)
    begun = []

    async def reopen(_uow, erasure) -> None:
        begun.append(erasure.user_id)

    replay = Replay(hearer, holdings, participation, reopen)
    await replay.sweep()
    assert holdings.held == {living}
    assert begun == [erased]
    assert await participation.work_once() == 1
    [report] = [parse(row["body"], REPORTED).data for row in await rows("consent.outbox")]
    assert (report.erasure_id, dict(report.erased)) == (erasure_id, {"photos": 1})
    await replay.sweep()


async def test_replay_ends_only_when_the_second_look_finds_nothing(hearer) -> None:
    erased = new_id()
    async with hearer.unit_of_work() as uow:
        await uow.add_tombstone(erased)
    holdings = Everything(erased, resists=True)
    replay = Replay(hearer, holdings, ErasureParticipation(hearer, holdings, reported=REPORTED))
    with pytest.raises(ErasureIncomplete, match="photos"):
        await replay.sweep()


@pytest.mark.parametrize("entries", [1000, pytest.param(10_000, marks=pytest.mark.chaos)])
async def test_r29_ten_thousand_entries_are_replayed_within_a_minute(
    hearer, journal, bury, restore, monkeypatch, entries
) -> None:
    monkeypatch.setattr(journal_module, "ENTRIES", 10)
    for _ in range(10):
        await bury(entries // 10)
    await journal.keep()
    await restore()
    began = time.monotonic()
    assert await journal.absorb() == entries
    seconds = time.monotonic() - began
    print(f"{entries} entries on {entries // 10} pages: {seconds:.1f} s")
    assert seconds < 60 * entries / 10_000


@pytest.mark.parametrize("kind", ["api", "worker"])
async def test_r29_process_of_a_restored_schema_answers_nobody_and_says_why(
    start, store, journal, bury, restore, kind
) -> None:
    await bury(2)
    await journal.keep()
    await restore()
    process = await start(kind, WIDGET_JOURNAL_ENDPOINT_URL="http://127.0.0.1:1")

    async def closed() -> None:
        status, problem = await process.health("readiness")
        assert (status, problem["title"]) == (503, "Closed until erasures are replayed")

    await eventually(closed, seconds=20)
    await process.is_alive()
    async with aiohttp.ClientSession() as http, http.post(f"{process.url}/internal/slow") as answer:
        assert answer.status == 503
        assert (await answer.json())["title"] == "Closed until erasures are replayed"
    status, _ = await process.end(signal.SIGTERM, seconds=10)
    assert status == 0


async def test_r29_worker_replays_and_both_processes_open(
    start, store, journal, bury, restore, hearer
) -> None:
    lost = await bury(2)
    await journal.keep()
    await restore()
    processes = [await start("api"), await start("worker")]
    for process in processes:

        async def opened(process=process) -> None:
            _, told = await process.health("readiness")
            assert told.get("title") != "Closed until erasures are replayed"

        await eventually(opened, seconds=20)
    assert await is_current(hearer)
    assert lost <= await stones(hearer)

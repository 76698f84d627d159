import asyncio
import hashlib
import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.orm import registry

from chassis import consumer as consumer_module
from chassis import context
from chassis.consumer import Consumer, Inbound, Outcome
from chassis.handling import Handling
from chassis.ids import new_id
from chassis.inbox import purge_old_records
from contracts.envelope import parse_head, wrap
from contracts.identity import UserDeleted
from support import eventually

QUEUE = "consent.erase-user"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(consumer_module, "HOLD_SECONDS", (0.02, 0.05))
    monkeypatch.setattr(consumer_module, "RETRY_PAUSE_SECONDS", 0.0)


@pytest.fixture
def effects(rows):
    """Return a function that lists the events that have acted."""

    async def events():
        return [row["event_id"] for row in await rows("consent.effects")]

    return events


async def act(uow, envelope):
    await uow.session.execute(text("INSERT INTO consent.effects VALUES (:id, 'acted')"), {"id": envelope.id})


class Script:
    """A handler that acts, and then fails as often as the test asks it to."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self, uow, envelope):
        self.calls += 1
        await act(uow, envelope)
        if self.failures:
            raise self.failures.pop(0)


def inbound(database, handler=act):
    return Inbound(database, Consumer(QUEUE, {UserDeleted: handler}))


async def test_effect_inbox_row_and_answer_are_one_transaction(hearer, an_event, body_of, rows, effects):
    async def act_and_answer(uow, envelope):
        await act(uow, envelope)
        uow.publish(an_event())

    event_id = new_id()
    assert await inbound(hearer, act_and_answer).process(body_of(an_event(), event_id)) is Outcome.DONE
    assert await effects() == [event_id]
    assert [row["event_id"] for row in await rows("consent.inbox")] == [event_id]
    assert len(await rows("consent.outbox")) == 1


async def test_failure_rolls_back_effect_inbox_row_and_answer(hearer, an_event, body_of, rows, monkeypatch):
    monkeypatch.setattr(consumer_module, "MAX_ATTEMPTS", 1)

    async def act_answer_and_fail(uow, envelope):
        await act(uow, envelope)
        uow.publish(an_event())
        raise LookupError

    assert await inbound(hearer, act_answer_and_fail).process(body_of(an_event())) is Outcome.PARKED
    for table in ("effects", "inbox", "outbox"):
        assert await rows(f"consent.{table}") == [], table


async def test_event_delivered_again_acts_once(hearer, an_event, body_of, effects):
    body = body_of(an_event())
    for _ in range(3):
        assert await inbound(hearer).process(body) is Outcome.DONE
    assert len(await effects()) == 1


async def until_waiting_in_line(hearer, number):
    """Return when so many deliveries wait for the row that another one holds."""

    async def they_wait():
        async with hearer.engine.connect() as connection:
            waiting = await connection.scalar(
                text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            )
        assert waiting == number

    await eventually(they_wait)


async def test_event_delivered_twice_at_the_same_time_acts_once(hearer, an_event, body_of, effects):
    first_has_begun, second_waits = asyncio.Event(), asyncio.Event()

    async def act_slowly(uow, envelope):
        await act(uow, envelope)
        first_has_begun.set()
        await second_waits.wait()

    body = body_of(an_event())
    first = asyncio.create_task(inbound(hearer, act_slowly).process(body))
    await first_has_begun.wait()
    others = [asyncio.create_task(inbound(hearer, Script()).process(body)) for _ in range(3)]

    await until_waiting_in_line(hearer, 3)
    second_waits.set()
    assert await asyncio.gather(first, *others) == [Outcome.DONE] * 4
    assert len(await effects()) == 1


async def test_duplicate_of_a_delivery_that_failed_takes_its_place(hearer, an_event, body_of, effects):
    begun, fail = asyncio.Event(), asyncio.Event()

    async def fail_late(_uow, _envelope):
        begun.set()
        await fail.wait()
        raise LookupError

    body = body_of(an_event())
    failing = asyncio.create_task(inbound(hearer, fail_late).process(body))
    await begun.wait()
    duplicate = asyncio.create_task(inbound(hearer).process(body))
    await until_waiting_in_line(hearer, 1)
    fail.set()
    assert await duplicate is Outcome.DONE
    # The other finds it done on its next try.
    assert await failing is Outcome.DONE
    assert len(await effects()) == 1


async def test_handler_that_always_fails_is_parked_after_five_attempts_without_its_payload(
    hearer, an_event, body_of, rows
):
    event = an_event()
    event_id = new_id()
    body = body_of(event, event_id)
    handler = Script(*[LookupError("canary")] * 9)
    assert await inbound(hearer, handler).process(body) is Outcome.PARKED
    assert handler.calls == 5

    (letter,) = await rows("consent.dead_letters")
    assert (letter["consumer"], letter["event_id"], letter["type"]) == (QUEUE, event_id, UserDeleted.type)
    assert letter["body_digest"] == hashlib.sha256(body).hexdigest()
    assert letter["error_class"].startswith("LookupError in __call__")
    assert "canary" not in str(letter)
    assert str(event.user_id) not in str(letter)


async def test_attempts_are_remembered_across_deliveries(hearer, an_event, body_of, rows):
    class Killed(BaseException):
        pass

    body = body_of(an_event())
    with pytest.raises(Killed):
        await inbound(hearer, Script(LookupError(), LookupError(), Killed())).process(body)
    survivor = Script(*[LookupError()] * 9)
    assert await inbound(hearer, survivor).process(body) is Outcome.PARKED
    assert survivor.calls == 3


async def test_event_that_succeeds_before_the_fifth_attempt_is_not_parked(
    hearer, an_event, body_of, rows, effects
):
    handler = Script(*[LookupError()] * 4)
    assert await inbound(hearer, handler).process(body_of(an_event())) is Outcome.DONE
    assert len(await effects()) == 1
    assert await rows("consent.dead_letters") == []


def without_a_type(body):
    return json.dumps({**json.loads(body), "type": None}).encode()


def of_an_unknown_major(body):
    return body.replace(b"user.deleted.v1", b"user.deleted.v2")


def of_an_endless_type(body):
    return body.replace(b"user.deleted", b"user." + b"deleted" * 100)


def with_a_broken_payload(body):
    document = json.loads(body)
    document["data"]["user_id"] = "canary"
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda _: b"{not json", id="no JSON"),
        pytest.param(lambda _: b"\xff\xfe", id="no UTF-8"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b"[" * 100_000, id="nested too deep"),
        pytest.param(lambda _: b'"%s"' % (b"x" * 5_000_000), id="5 MB"),
        pytest.param(without_a_type, id="no type"),
        pytest.param(of_an_unknown_major, id="unknown major version"),
        pytest.param(of_an_endless_type, id="endless type"),
        pytest.param(with_a_broken_payload, id="payload that breaks the contract"),
    ],
)
async def test_unreadable_message_is_parked_at_once(spoil, hearer, an_event, body_of, rows):
    handler = Script()
    body = spoil(body_of(an_event()))
    assert await inbound(hearer, handler).process(body) is Outcome.PARKED
    assert handler.calls == 0
    (letter,) = await rows("consent.dead_letters")
    assert letter["body_digest"] == hashlib.sha256(body).hexdigest()
    assert "canary" not in str(letter)


async def test_parked_event_says_which_it_was_when_its_head_is_readable(hearer, an_event, body_of, rows):
    event_id = new_id()
    await inbound(hearer).process(with_a_broken_payload(body_of(an_event(), event_id)))
    (letter,) = await rows("consent.dead_letters")
    assert (letter["event_id"], letter["type"]) == (event_id, UserDeleted.type)


async def test_database_outage_holds_the_message_and_counts_nothing(
    open_database, scratch, database_proxy, an_event, body_of, rows, effects
):
    hearer = open_database("consent", via=database_proxy)
    database_proxy.cut(refusing=True)
    processing = asyncio.create_task(inbound(hearer).process(body_of(an_event())))
    await asyncio.wait([processing], timeout=0.3)
    assert not processing.done()

    database_proxy.heal()
    assert await asyncio.wait_for(processing, timeout=5) is Outcome.DONE
    assert len(await effects()) == 1
    assert await rows("consent.failed_attempts") == []


async def test_database_that_is_full_or_starting_holds_the_message(
    hearer, scratch, an_event, body_of, rows, effects
):
    await scratch.execute("ALTER ROLE chassis_app CONNECTION LIMIT 0")
    try:
        processing = asyncio.create_task(inbound(hearer).process(body_of(an_event())))
        await asyncio.wait([processing], timeout=0.3)
        assert not processing.done()
    finally:
        await scratch.execute("ALTER ROLE chassis_app CONNECTION LIMIT -1")
    assert await asyncio.wait_for(processing, timeout=5) is Outcome.DONE
    assert len(await effects()) == 1
    assert await rows("consent.failed_attempts") == []


async def test_commit_whose_answer_is_lost_acts_once(
    open_database, database_proxy, an_event, body_of, effects
):
    hearer = open_database("consent", via=database_proxy)
    database_proxy.cut_after(b"COMMIT")
    assert await inbound(hearer).process(body_of(an_event())) is Outcome.DONE
    assert len(await effects()) == 1


async def test_message_that_is_held_too_long_goes_back_to_the_broker(
    open_database, database_proxy, an_event, body_of, monkeypatch
):
    monkeypatch.setattr(consumer_module, "HOLD_AT_MOST_SECONDS", 0.1)
    database_proxy.cut(refusing=True)
    hearer = open_database("consent", via=database_proxy)
    assert await inbound(hearer).process(body_of(an_event())) is Outcome.HANDED_BACK


async def test_failure_that_can_not_be_recorded_holds_the_message(
    hearer, scratch, an_event, body_of, rows, effects
):
    failing = Script(*[LookupError() for _ in range(1_000)])

    async def was_tried_more_often_than_failures_are_let_pass():
        assert failing.calls > consumer_module.MAX_ATTEMPTS

    await scratch.execute("ALTER TABLE consent.failed_attempts RENAME TO elsewhere")
    try:
        processing = asyncio.create_task(inbound(hearer, failing).process(body_of(an_event())))
        await eventually(was_tried_more_often_than_failures_are_let_pass)
        assert not processing.done()
        failing.failures.clear()
    finally:
        await scratch.execute("ALTER TABLE consent.elsewhere RENAME TO failed_attempts")
    assert await asyncio.wait_for(processing, timeout=5) is Outcome.DONE
    assert len(await effects()) == 1


async def test_event_about_an_erased_person_is_dropped_for_good(hearer, an_event, body_of, rows, effects):
    event = an_event()

    async def act_about_the_person(uow, envelope):
        await act(uow, envelope)
        uow.publish(an_event())
        await uow.lock_subject(envelope.data.user_id)

    async with hearer.unit_of_work() as uow:
        await uow.add_tombstone(event.user_id)
    assert await inbound(hearer, act_about_the_person).process(body_of(event)) is Outcome.DONE
    assert await effects() == []
    assert await rows("consent.outbox") == []
    assert len(await rows("consent.inbox")) == 1
    assert await rows("consent.dead_letters") == []


class Chore:
    """A row that a session remembers."""


async def test_event_finds_what_the_one_that_acted_before_it_has_written(
    hearer, an_event, body_of, chores_table
):
    mapping = registry()
    mapping.map_imperatively(Chore, chores_table)
    found, remembered = [], []

    async def add_one(uow, _envelope):
        chore = await uow.session.get(Chore, ("sweep", 1))
        found.append(chore.attempts)
        remembered.append(chore)
        await uow.session.execute(update(chores_table).values(attempts=chores_table.c.attempts + 1))

    async with hearer.unit_of_work() as uow:
        await uow.session.execute(insert(chores_table).values(kind="sweep", number=1))
    handling = Handling(hearer, Consumer(QUEUE, {UserDeleted: add_one}))
    events = [handling.read(body_of(an_event()), None) for _ in range(3)]
    await handling.act([(event, False) for event in events])
    assert found == [0, 1, 2]
    mapping.dispose()


async def test_handler_works_and_answers_in_the_trace_of_the_event(hearer, an_event, rows):
    trace = context.continued_trace(None)
    cause = wrap(an_event(), event_id=new_id(), time=datetime.now(UTC), traceparent=trace)

    async def answer(uow, _envelope):
        uow.publish(an_event())

    await inbound(hearer, answer).process(cause.to_json())
    (row,) = await rows("consent.outbox")
    answered = parse_head(row["body"]).traceparent
    assert answered != trace
    assert answered.split("-")[1] == trace.split("-")[1]
    assert context.traceparent.get() is None


async def test_old_records_are_forgotten_and_young_ones_kept(hearer, rows, scratch):
    for days, number in ((31, 2500), (29, 3)):
        since = f"now() - interval '{days} days' FROM generate_series(1, {number})"
        await scratch.execute(
            f"INSERT INTO consent.inbox SELECT 'q', gen_random_uuid(), {since}",
            f"INSERT INTO consent.failed_attempts SELECT 'q', gen_random_uuid(), 1, {since}",
        )
    assert await purge_old_records(hearer) == 5000
    assert len(await rows("consent.inbox")) == 3
    assert len(await rows("consent.failed_attempts")) == 3

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from chassis.consumer import Inbound, Outcome
from chassis.ids import new_id
from consent.idle_periods import idle_periods
from consent.main import CONSENT
from consent.use_cases.end_idle_consents import BATCH, end_idle_consents
from consent.use_cases.expire_consents import expire_consents
from contracts.envelope import wrap
from contracts.identity import UserActive
from support.erasures import work_on_erasures

MANY = 3_000
A_YEAR = timedelta(days=365)
# Consents that lapse so late that nothing but the days without an interaction ends them.
GRANTED = """
    WITH people AS (SELECT coalesce($4::uuid, gen_random_uuid()) AS user_id, gen_random_uuid() AS consent_id
                    FROM generate_series(1, $1)),
    gates AS (INSERT INTO consent.gates (user_id, consent_type, epoch, open_consent_id, open_until)
              SELECT user_id, $5, 1, consent_id, now() + $3::int * interval '1 day' FROM people)
    INSERT INTO consent.entries (
        kind, consent_type, jurisdiction, jurisdictions, consent_text_version, text_digest, locale,
        ruleset_version, ruleset_digest, epoch, expires_at, commitment, user_id, consent_id, salt)
    SELECT 'grant', $5, ($2::text[])[1], $2::text[], '2026-01', '', 'en', '2026-01', '', 1,
        now() + $3::int * interval '1 day', '', user_id, consent_id, '' FROM people
"""


@pytest.fixture
def endless(service):
    """The service under rules whose consents are valid for longer than anything is kept."""
    regimes = {
        code: regime.model_copy(
            update={
                "rulesets": tuple(
                    rules.model_copy(update={"consent_valid_days": 3650}) for rules in regime.rulesets
                )
            }
        )
        for code, regime in service.rulebook.regimes.items()
    }
    return service.rulebook.model_copy(update={"regimes": regimes})


@pytest.fixture
def sweep(service, clock, endless):
    async def _sweep() -> int:
        return await end_idle_consents(service.database, rulebook=endless, clock=clock)

    return _sweep


@pytest.fixture
def agreed(admin):
    async def _agreed(*jurisdictions, count=1, user_id=None, consent_type="biometric_capture"):
        person = None if count > 1 else user_id or new_id()
        await admin.execute(GRANTED, count, list(jurisdictions), 3650, person, consent_type)
        return person

    return _agreed


@pytest.fixture
def is_here(service):
    """Deliver what identity says when somebody signs in: `await is_here(user_id, day)`."""
    [consumer] = [
        consumer
        for consumer in CONSENT.create_worker(service).work.consumers
        if consumer.queue == "consent.record-activity"
    ]

    async def _is_here(user_id, day) -> None:
        event = UserActive(user_id=user_id, active_on=day)
        body = wrap(event, event_id=new_id(), time=service.clock.now()).to_json()
        assert await Inbound(service.database, consumer).process(body) is Outcome.DONE

    return _is_here


async def told(admin):
    rows = await admin.fetch("SELECT body FROM consent.outbox ORDER BY position")
    return [json.loads(row["body"]) for row in rows]


@pytest.mark.parametrize(
    ("jurisdictions", "days"),
    [
        pytest.param(("bipa",), 1095, id="B-15a-three-years-after-the-last-interaction"),
        pytest.param(("co",), 730, id="C-1-24-months-after-the-last-interaction"),
        pytest.param(("ccpa",), 730, id="CA-1-the-days-that-the-notice-says"),
        pytest.param(("gdpr",), 365, id="G-5-our-own-limit"),
        pytest.param(("bipa", "gdpr"), 365, id="J-01-the-shortest-of-several"),
    ],
)
async def test_what_rests_on_a_consent_is_destroyed_when_its_days_are_over(
    agreed, sweep, ask, admin, clock, jurisdictions, days
) -> None:
    ann = await agreed(*jurisdictions)
    today = datetime.now(UTC).date()
    clock.advance(timedelta(days=days - 1))
    assert await sweep() == 0
    assert await admin.fetchval("SELECT open_consent_id IS NOT NULL FROM consent.gates")
    clock.advance(timedelta(days=1))

    assert await sweep() == 1
    answer = (await ask(ann)).json()
    assert (answer["granted"], answer["epoch"], answer["withdrawn_epoch"]) == (False, 2, 2)
    [event] = await told(admin)
    assert (event["type"], event["data"]["epoch"]) == ("consent.consent.expired.v1", 2)
    assert datetime.fromisoformat(event["data"]["expired_at"]) == clock.now()
    entry = await admin.fetchrow("SELECT * FROM consent.entries WHERE kind = 'expiry'")
    assert json.loads(entry["metadata"]) == {
        "reason": "retention",
        "days": days,
        "last_interaction": today.isoformat(),
    }
    assert await sweep() == 0


@pytest.mark.parametrize("how", ["withdrawal", "expiry"])
@pytest.mark.parametrize("requirement", ["T-b/c", "G-17.1"])
async def test_the_end_of_a_consent_is_the_end_of_its_purpose_and_starts_destruction_at_once(
    person, service, admin, clock, how, requirement
) -> None:
    ann = person()
    granted = (await ann.agree()).json()
    if how == "withdrawal":
        await ann.withdraw(granted["id"])
        ended = datetime.now(UTC)
    else:
        clock.advance(datetime.fromisoformat(granted["expires_at"]) - clock.now())
        ended = clock.now()
        assert await expire_consents(service.database, clock=clock) == 1

    last = (await told(admin))[-1]
    told_at = last["data"].get("withdrawn_at") or last["data"]["expired_at"]
    # Texas allows a year, we thirty days; the event leaves in the same transaction.
    assert abs(datetime.fromisoformat(told_at) - ended) < timedelta(minutes=1)


async def test_b_15a_who_was_here_meanwhile_is_kept_from_that_day_on(agreed, sweep, is_here, clock) -> None:
    ann, ben = await agreed("gdpr"), await agreed("gdpr")
    clock.advance(A_YEAR - timedelta(days=1))
    here = clock.now().date()
    await is_here(ann, here)
    await is_here(ann, here - timedelta(days=200))
    clock.advance(timedelta(days=1))
    assert await sweep() == 1
    clock.advance(A_YEAR - timedelta(days=2))
    assert await sweep() == 0
    clock.advance(timedelta(days=1))
    assert await sweep() == 1
    assert ben != ann


async def test_the_last_day_alone_is_kept_and_only_of_who_agreed_to_something(
    agreed, is_here, admin, clock
) -> None:
    ann, today = await agreed("gdpr"), clock.now().date()
    await is_here(ann, today)
    await is_here(ann, today + timedelta(days=1))
    await is_here(ann, today)
    await is_here(new_id(), today)

    rows = await admin.fetch("SELECT user_id, active_on FROM consent.activities")
    assert [(row["user_id"], row["active_on"]) for row in rows] == [(ann, today + timedelta(days=1))]


async def test_t_b_c_the_year_of_texas_is_counted_from_the_end_of_the_purpose_and_ends_no_consent(
    agreed, sweep, clock
) -> None:
    await agreed("cubi")
    clock.advance(timedelta(days=3000))

    assert await sweep() == 0


async def test_other_purposes_have_no_such_period(agreed, sweep, clock) -> None:
    await agreed("gdpr", consent_type="marketing")
    clock.advance(timedelta(days=3000))

    assert await sweep() == 0


async def test_every_row_of_the_schedule_that_counts_days_has_its_timer(service, client, clock) -> None:
    schedule = (await client.get("/api/v1/privacy/retention-schedule")).json()["jurisdictions"]
    shown = {
        (jurisdiction["jurisdiction"], item["days"])
        for jurisdiction in schedule
        for item in jurisdiction["items"]
        if item["starts"] == "last_interaction"
    }
    periods = idle_periods(service.rulebook, clock.now().date())

    assert shown == {(code, period.days) for period in periods for code in period.jurisdictions}
    assert all(item["enforced"] for jurisdiction in schedule for item in jurisdiction["items"])


async def test_whose_erasure_has_begun_gets_no_entry_and_no_day(
    agreed, sweep, is_here, service, admin, clock, open_erasure
) -> None:
    ann = await agreed("gdpr")
    await is_here(ann, clock.now().date())
    await open_erasure(ann)
    clock.advance(A_YEAR)
    assert await sweep() == 0
    await work_on_erasures(CONSENT.participation(service), service.database)
    await is_here(ann, clock.now().date())

    assert await admin.fetchval("SELECT count(*) FROM consent.activities") == 0
    assert await admin.fetchval("SELECT count(*) FROM consent.entries WHERE kind = 'expiry'") == 0


async def test_a_gate_that_somebody_holds_is_left_to_the_next_turn(agreed, sweep, admin, clock) -> None:
    ann = await agreed("gdpr")
    clock.advance(A_YEAR)
    async with admin.transaction():
        await admin.execute("SELECT 1 FROM consent.gates WHERE user_id = $1 FOR UPDATE", ann)
        assert await asyncio.wait_for(sweep(), timeout=5) == 0
    assert await sweep() == 1


async def test_two_sweeps_at_once_end_each_consent_once(agreed, sweep, admin, clock) -> None:
    await agreed("gdpr", count=2 * BATCH)
    clock.advance(A_YEAR)
    await asyncio.gather(sweep(), sweep())
    await sweep()

    assert await admin.fetchval("SELECT count(*) FROM consent.entries WHERE kind = 'expiry'") == 2 * BATCH


async def test_nobody_waits_behind_many_who_are_not_due(agreed, sweep, admin, clock) -> None:
    await agreed("bipa", count=MANY)
    await agreed("gdpr", count=MANY)
    ann = await agreed("gdpr")
    await admin.execute("ANALYZE consent.entries, consent.gates")
    clock.advance(A_YEAR)

    assert await sweep() == MANY + 1
    assert await admin.fetchval("SELECT count(*) FROM consent.gates WHERE open_until IS NOT NULL") == MANY
    assert await admin.fetchval("SELECT open_until FROM consent.gates WHERE user_id = $1", ann) is None
    largest = await admin.fetchval(
        "SELECT max(number) FROM (SELECT count(*) AS number FROM consent.entries"
        " WHERE kind = 'expiry' GROUP BY xmin) AS batches"
    )
    assert 0 < largest <= BATCH

import asyncio
import json
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from chassis.ids import new_id
from chassis.problems import PersonErased
from consent.use_cases.expire_consents import BATCH, expire_consents

LIFETIME = timedelta(days=730)
MANY = 10_000
A_CROWD = """
    WITH people AS (SELECT gen_random_uuid() AS user_id, gen_random_uuid() AS consent_id
                    FROM generate_series(1, $1)),
    gates AS (INSERT INTO consent.gates (user_id, consent_type, epoch, open_consent_id, open_until)
              SELECT user_id, 'biometric_capture', 1, consent_id, $2 FROM people)
    INSERT INTO consent.entries (
        kind, consent_type, jurisdiction, jurisdictions, consent_text_version, text_digest, locale,
        ruleset_version, ruleset_digest, epoch, expires_at, commitment, user_id, consent_id, salt)
    SELECT 'grant', 'biometric_capture', 'gdpr', '{gdpr}', '2026-01', '', 'en', '2026-01', '', 1, $2, '',
        user_id, consent_id, '' FROM people
"""


@pytest.fixture
def expire(service, clock):
    async def _expire() -> int:
        return await expire_consents(service.database, clock=clock)

    return _expire


async def told(admin) -> list[tuple[str, int]]:
    rows = await admin.fetch("SELECT body FROM consent.outbox ORDER BY position")
    events = [json.loads(row["body"]) for row in rows]
    return [(event["type"].split(".")[2], event["data"]["epoch"]) for event in events]


async def kinds(admin) -> list[tuple[str, int]]:
    rows = await admin.fetch("SELECT kind, epoch FROM consent.entries ORDER BY position")
    return [(row["kind"], row["epoch"]) for row in rows]


async def test_a_lapsed_consent_gets_an_entry_an_epoch_and_an_event(
    person, ask, admin, clock, expire, service
) -> None:
    ann, ben = person(), person()
    lapsing = (await ann.agree()).json()
    clock.advance(timedelta(days=1))
    await ben.agree()
    clock.advance(LIFETIME - timedelta(days=1))
    # At the moment itself nothing allows anything any more, whether or not somebody has looked for it.
    assert (await ask(ann.id)).json()["granted"] is False
    assert await expire() == 1
    assert (await ask(ann.id)).json() == {
        "granted": False,
        "consent_id": None,
        "epoch": 2,
        "withdrawn_epoch": 2,
        "jurisdiction": None,
        "may_collect": False,
        "stricter_jurisdiction": None,
    }
    assert (await ask(ben.id)).json()["granted"] is True
    last = json.loads(await admin.fetchval("SELECT body FROM consent.outbox ORDER BY position DESC LIMIT 1"))
    assert last["type"] == "consent.consent.expired.v1"
    assert last["subject"] == f"users/{ann.id}"
    assert last["data"] == {
        "user_id": str(ann.id),
        "consent_id": lapsing["id"],
        "consent_type": "biometric_capture",
        "jurisdiction": "gdpr",
        "epoch": 2,
        "expired_at": lapsing["expires_at"],
    }
    [listed] = await ann.consents()
    assert (listed["status"], listed["granted"], listed["withdrawn_at"]) == ("expired", False, None)
    status = (await ann.call("GET", "/consent/biometric-status")).json()
    assert status == {"has_consent": False, "consent_record": None}
    assert await expire() == 0


async def test_what_has_not_lapsed_or_was_withdrawn_does_not_expire(person, admin, clock, expire) -> None:
    ann, ben = person(), person()
    await ann.withdraw((await ann.agree()).json()["id"])
    await ben.agree()
    clock.advance(LIFETIME - timedelta(microseconds=1))
    assert await expire() == 0
    assert len(await told(admin)) == 3


async def test_a_consent_given_again_before_anybody_looked_closes_the_lapsed_one_first(
    person, admin, clock, expire, ask
) -> None:
    ann = person()
    await ann.agree()
    clock.advance(LIFETIME)
    renewed = (await ann.agree()).json()
    assert await kinds(admin) == [("grant", 1), ("expiry", 2), ("grant", 3)]
    assert await told(admin) == [("granted", 1), ("expired", 2), ("granted", 3)]
    assert await expire() == 0
    answer = (await ask(ann.id)).json()
    assert (answer["consent_id"], answer["epoch"], answer["withdrawn_epoch"]) == (renewed["id"], 3, 2)
    assert [consent["status"] for consent in await ann.consents()] == ["live", "expired"]


async def test_an_expired_consent_can_still_be_withdrawn_once(person, admin, clock, expire) -> None:
    ann = person()
    granted = (await ann.agree()).json()
    clock.advance(LIFETIME)
    assert await expire() == 1
    first, second = await ann.withdraw(granted["id"]), await ann.withdraw(granted["id"])
    assert (first.status_code, first.json()["status"]) == (200, "withdrawn")
    assert first.json() == second.json()
    assert await kinds(admin) == [("grant", 1), ("expiry", 2), ("withdrawal", 3)]


async def test_expiry_withdrawal_and_a_new_grant_at_once_leave_one_order(
    person, admin, clock, expire, ask, unlimited
) -> None:
    people = [person() for _ in range(12)]
    granted = [(await ann.agree()).json() for ann in people]
    clock.advance(LIFETIME)
    steps = [expire(), expire()]
    for number, (ann, consent) in enumerate(zip(people, granted, strict=True)):
        if number % 3 != 0:
            steps.append(ann.withdraw(consent["id"]))
        if number % 3 != 1:
            steps.append(ann.agree())
    await asyncio.gather(*steps)
    await expire()
    for ann in people:
        rows = await admin.fetch(
            "SELECT kind, epoch FROM consent.entries WHERE user_id = $1 ORDER BY position", ann.id
        )
        assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
        # Nothing ends twice in a row by itself, and no grant is left that has lapsed.
        pairs = [(one["kind"], two["kind"]) for one, two in pairwise(rows)]
        assert ("expiry", "expiry") not in pairs
        assert ("grant", "grant") not in pairs
        answer = (await ask(ann.id)).json()
        assert (answer["granted"], answer["epoch"]) == (rows[-1]["kind"] == "grant", rows[-1]["epoch"])


async def test_whose_erasure_has_begun_gets_no_expiry(person, admin, clock, expire, open_erasure) -> None:
    ann, ben = person(), person()
    await ann.agree()
    await ben.agree()
    await open_erasure(ann.id)
    clock.advance(LIFETIME)
    assert await expire() == 1
    assert await kinds(admin) == [("grant", 1), ("grant", 1), ("expiry", 2)]


async def test_an_erasure_that_begins_meanwhile_waits_for_nobody_and_is_not_waited_for(
    person, service, clock, expire, admin
) -> None:
    ann, ben = person(), person()
    await ann.agree()
    await ben.agree()
    clock.advance(LIFETIME)
    async with service.unit_of_work() as uow:
        await uow.add_tombstone(ann.id)
        # The burial is not over: whoever asks for the same person now would wait for it.
        assert await asyncio.wait_for(expire(), timeout=5) == 1
    assert await kinds(admin) == [("grant", 1), ("grant", 1), ("expiry", 2)]
    assert await expire() == 0
    with pytest.raises(PersonErased):
        async with service.unit_of_work() as uow:
            await uow.lock_subject(ann.id)


async def test_a_gate_that_somebody_holds_is_left_to_the_next_turn(
    person, service, clock, expire, admin
) -> None:
    ann = person()
    await ann.agree()
    clock.advance(LIFETIME)
    holder = await admin.fetchrow("SELECT user_id FROM consent.gates")
    async with admin.transaction():
        await admin.execute("SELECT 1 FROM consent.gates WHERE user_id = $1 FOR UPDATE", holder["user_id"])
        assert await asyncio.wait_for(expire(), timeout=5) == 0
    assert await expire() == 1


async def test_many_that_lapse_at_once_expire_in_bounded_batches(admin, clock, expire, service) -> None:
    await admin.execute(A_CROWD, MANY, clock.now())
    await admin.execute("ANALYZE consent.entries, consent.gates")
    assert await expire() == MANY
    assert await admin.fetchval("SELECT count(*) FROM consent.entries WHERE kind = 'expiry'") == MANY
    assert await admin.fetchval("SELECT count(*) FROM consent.gates WHERE open_until IS NOT NULL") == 0
    assert await admin.fetchval("SELECT count(*) FROM consent.outbox") == MANY
    # One transaction writes one batch, whatever waits: rows of one share the number of their writer.
    largest = await admin.fetchval(
        "SELECT max(number) FROM (SELECT count(*) AS number FROM consent.entries"
        " WHERE kind = 'expiry' GROUP BY xmin) AS batches"
    )
    assert 0 < largest <= BATCH
    plan = "\n".join(
        row[0]
        for row in await admin.fetch(
            "EXPLAIN SELECT open_until, user_id, consent_type FROM consent.gates WHERE open_until <= now()"
            " ORDER BY open_until, user_id, consent_type LIMIT 200"
        )
    )
    assert "ix_gates_open_until" in plan


async def test_the_entry_of_an_expiry_is_committed_to_like_any_other(person, clock, expire, admin) -> None:
    ann = person()
    await ann.agree(metadata={"screen": "1"})
    clock.advance(LIFETIME)
    await expire()
    entry = await admin.fetchrow("SELECT * FROM consent.entries WHERE kind = 'expiry'")
    assert (entry["user_id"], entry["expires_at"], entry["metadata"]) == (ann.id, None, None)
    assert isinstance(entry["occurred_at"], datetime)
    assert entry["salt"]
    assert entry["commitment"]


async def test_an_unknown_person_has_nothing_that_could_lapse(expire, ask) -> None:
    assert await expire() == 0
    assert (await ask(new_id())).json()["epoch"] == 0

import asyncio
import json
from datetime import timedelta

import pytest

from chassis.ids import new_id


async def announced(admin) -> list[tuple[str, int]]:
    rows = await admin.fetch("SELECT body FROM consent.outbox ORDER BY position")
    events = [json.loads(row["body"]) for row in rows]
    return [(event["type"].split(".")[2], event["data"]["epoch"]) for event in events]


async def test_a_withdrawal_closes_the_gate_before_it_is_answered(person, ask, admin) -> None:
    ann = person()
    granted = (await ann.agree()).json()
    answer = await ann.withdraw(granted["id"])
    assert answer.status_code == 200
    withdrawn = answer.json()
    assert withdrawn == {
        **granted,
        "granted": False,
        "status": "withdrawn",
        "withdrawn_at": withdrawn["withdrawn_at"],
    }
    assert withdrawn["withdrawn_at"].endswith("Z")
    assert granted["granted_at"] < withdrawn["withdrawn_at"]
    assert (await ask(ann.id)).json() == {
        "granted": False,
        "consent_id": None,
        "epoch": 2,
        "withdrawn_epoch": 2,
        "jurisdiction": None,
        "may_collect": False,
        "stricter_jurisdiction": None,
    }
    assert await ann.consents() == [withdrawn]
    assert await announced(admin) == [("granted", 1), ("withdrawn", 2)]


async def test_withdrawing_twice_is_the_same_as_once(person, admin, clock) -> None:
    ann = person()
    granted = (await ann.agree()).json()
    first = await ann.withdraw(granted["id"])
    clock.advance(timedelta(hours=1))
    second = await ann.withdraw(granted["id"])
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert len(await announced(admin)) == 2


async def test_twenty_withdrawals_at_once_have_one_effect(person, admin) -> None:
    ann = person()
    granted = (await ann.agree()).json()
    answers = await asyncio.gather(*(ann.withdraw(granted["id"]) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert await announced(admin) == [("granted", 1), ("withdrawn", 2)]


async def test_somebody_elses_consent_can_not_be_found(person, ask) -> None:
    ann, ben = person(), person()
    granted = (await ann.agree()).json()
    answer = await ben.withdraw(granted["id"])
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:irisvue:problem:not-found"
    assert (await ask(ann.id)).json()["granted"] is True


@pytest.mark.parametrize("consent_id", ["not-an-id", "%00", "1"])
async def test_an_id_that_is_none_is_refused_without_echo(person, consent_id) -> None:
    answer = await person().withdraw(consent_id)
    assert answer.status_code == 422
    assert "not-an-id" not in answer.json()["detail"]


async def test_an_unknown_consent_can_not_be_withdrawn(person) -> None:
    assert (await person().withdraw(str(new_id()))).status_code == 404


async def test_withdrawing_a_superseded_consent_ends_its_successor_too(person, ask, admin) -> None:
    ann = person()
    old = (await ann.agree(jurisdiction="gdpr")).json()
    new = (await ann.agree(jurisdiction="bipa")).json()
    assert (await ann.withdraw(old["id"])).json()["status"] == "withdrawn"
    assert (await ask(ann.id)).json()["granted"] is False
    assert {consent["status"] for consent in await ann.consents()} == {"withdrawn"}
    last = json.loads(await admin.fetchval("SELECT body FROM consent.outbox ORDER BY position DESC LIMIT 1"))
    assert (last["data"]["consent_id"], last["data"]["jurisdiction"]) == (new["id"], "bipa")


async def test_consent_given_again_survives_a_late_repeat_of_the_old_withdrawal(person, ask) -> None:
    ann = person()
    old = (await ann.agree()).json()
    await ann.withdraw(old["id"])
    new = (await ann.agree()).json()
    assert (await ann.withdraw(old["id"])).json()["id"] == old["id"]
    answer = (await ask(ann.id)).json()
    assert (answer["granted"], answer["consent_id"]) == (True, new["id"])
    assert (answer["epoch"], answer["withdrawn_epoch"]) == (3, 2)


async def test_grants_and_withdrawals_at_once_leave_in_the_order_of_their_epochs(
    person, admin, ask, unlimited
) -> None:
    ann = person()
    granted = (await ann.agree()).json()

    async def tap(number: int) -> None:
        if number % 2:
            answer = await ann.withdraw(granted["id"])
        else:
            answer = await ann.agree(jurisdiction=("gdpr", "bipa", "us_strict")[number % 3])
        assert answer.status_code in {200, 201}

    await asyncio.gather(*(tap(number) for number in range(24)))
    rows = await admin.fetch("SELECT kind, epoch FROM consent.entries ORDER BY position")
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert [epoch for _, epoch in await announced(admin)] == [row["epoch"] for row in rows]
    answer = (await ask(ann.id)).json()
    assert answer["epoch"] == len(rows)
    assert answer["granted"] is (rows[-1]["kind"] == "grant")
    live = [consent for consent in await ann.consents() if consent["granted"]]
    assert [consent["id"] for consent in live] == ([answer["consent_id"]] if answer["granted"] else [])


async def test_a_gate_never_answers_yes_after_a_withdrawal_was_answered(person, ask) -> None:
    ann = person()
    for _ in range(5):
        granted = (await ann.agree()).json()
        withdrawal, *_ = await asyncio.gather(ann.withdraw(granted["id"]), ask(ann.id), ask(ann.id))
        assert withdrawal.status_code == 200
        assert (await ask(ann.id)).json()["granted"] is False

import asyncio
import json
from datetime import timedelta

import pytest

from chassis.holdings import Holdings
from consent.holdings import HOLDINGS


async def entries(admin) -> list[tuple[str, int]]:
    rows = await admin.fetch("SELECT kind, epoch FROM consent.entries ORDER BY position")
    return [(row["kind"], row["epoch"]) for row in rows]


async def announced(admin) -> list[tuple[str, int]]:
    rows = await admin.fetch("SELECT body FROM consent.outbox ORDER BY position")
    events = [json.loads(row["body"]) for row in rows]
    return [(event["type"].split(".")[2], event["data"]["epoch"]) for event in events]


async def test_G411_a_refusal_is_recorded_and_allows_nothing(person, ask, admin) -> None:  # noqa: N802
    ann = person()
    answer = await ann.agree(granted=False, metadata={"screen": "onboarding-3"})
    assert answer.status_code == 201
    refused = answer.json()
    assert (refused["granted"], refused["status"]) == (False, "refused")
    assert refused["granted_at"] == refused["expires_at"]
    assert (await ask(ann.id)).json()["granted"] is False
    assert await ann.consents() == []
    assert await entries(admin) == [("refusal", 1)]
    assert await announced(admin) == []
    [row] = await admin.fetch("SELECT text_digest, locale, expires_at, consent_id FROM consent.entries")
    assert (row["locale"], row["expires_at"], str(row["consent_id"])) == ("en", None, refused["id"])
    assert len(row["text_digest"]) == 64


async def test_a_no_never_leaves_a_yes_open(person, ask, admin) -> None:
    ann = person()
    granted = (await ann.agree()).json()
    refused = await ann.agree(granted=False)
    assert (refused.status_code, refused.json()["status"]) == (201, "refused")
    answer = (await ask(ann.id)).json()
    assert (answer["granted"], answer["epoch"], answer["withdrawn_epoch"]) == (False, 3, 2)
    [listed] = await ann.consents()
    assert (listed["id"], listed["status"]) == (granted["id"], "withdrawn")
    assert await entries(admin) == [("grant", 1), ("withdrawal", 2), ("refusal", 3)]
    assert await announced(admin) == [("granted", 1), ("withdrawn", 2)]
    # Withdrawing what the no has ended already changes nothing.
    assert (await ann.withdraw(granted["id"])).json() == listed
    assert len(await entries(admin)) == 3


async def test_the_same_no_said_again_has_one_effect(person, admin) -> None:
    ann = person()
    first, second = await ann.agree(granted=False), await ann.agree(granted=False)
    assert first.json() == second.json()
    answers = await asyncio.gather(*(ann.agree(granted=False) for _ in range(5)))
    assert {answer.text for answer in answers} == {first.text}
    assert await entries(admin) == [("refusal", 1)]


async def test_who_refused_can_agree_later_and_refuse_again(person, ask, admin) -> None:
    ann = person()
    for _ in range(2):
        assert (await ann.agree(granted=False)).status_code == 201
        assert (await ann.agree()).status_code == 201
    assert (await ask(ann.id)).json()["granted"] is True
    assert [kind for kind, _ in await entries(admin)] == [
        "refusal",
        "grant",
        "withdrawal",
        "refusal",
        "grant",
    ]


async def test_refusals_are_listed_for_who_asks_for_them(person) -> None:
    ann, ben = person(), person()
    refused = (await ann.agree(granted=False)).json()
    granted = (await ann.agree()).json()
    again = (await ann.agree(granted=False)).json()
    await ben.agree(granted=False)

    async def listed(query: str) -> dict:
        answer = await ann.call("GET", f"/consent{query}")
        assert answer.status_code == 200
        return answer.json()

    # Who asks as ever gets what they ever got.
    assert [it["id"] for it in (await listed(""))["consents"]] == [granted["id"]]
    everything = await listed("?include=refusals")
    assert [(it["id"], it["status"]) for it in everything["consents"]] == [
        (again["id"], "refused"),
        (granted["id"], "withdrawn"),
        (refused["id"], "refused"),
    ]
    assert everything["consents"][0] == again
    first = await listed("?include=refusals&limit=1")
    assert first["next"] == again["id"]
    rest = await listed(f"?include=refusals&after={first['next']}")
    assert [it["id"] for it in rest["consents"]] == [granted["id"], refused["id"]]
    assert (await ann.call("GET", "/consent?include=everything")).status_code == 422


async def test_a_consent_that_has_lapsed_is_closed_before_the_no(person, admin, clock) -> None:
    ann = person()
    await ann.agree()
    clock.advance(timedelta(days=730))
    assert (await ann.agree(granted=False)).status_code == 201
    assert [kind for kind, _ in await entries(admin)] == ["grant", "expiry", "refusal"]


async def test_a_no_needs_no_law_to_hold_no_signature_and_no_current_text(person) -> None:
    for place in ({"country_code": "US", "state_code": "IL"}, {"country_code": "CA", "state_code": "QC"}):
        answer = await person().agree(jurisdiction="generic", granted=False, **place)
        assert answer.status_code == 201
    earlier = await person().agree(jurisdiction="bipa", version="2026-01", granted=False, metadata={})
    assert (earlier.status_code, earlier.json()["consent_text_version"]) == (201, "2026-01")


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"jurisdiction": "atlantis"}, "bipa, br"),
        ({"version": "1999-01"}, "2026-01"),
        ({"consent_text_locale": "fr"}, "de, en"),
    ],
)
async def test_a_no_to_what_never_was_is_refused_with_what_there_is(person, said, named) -> None:
    answer = await person().agree(granted=False, **said)
    assert answer.status_code == 409
    assert named in answer.json()["detail"]


async def test_refusals_are_bounded_and_ending_a_consent_is_not(person) -> None:
    ann = person()
    for number in range(20):
        said = await ann.agree(jurisdiction=("gdpr", "uk_gdpr")[number % 2], granted=False)
        assert said.status_code == 201
    assert (await ann.agree(granted=False)).status_code == 429
    ben = person()
    for number in range(20):
        await ben.agree(jurisdiction=("gdpr", "uk_gdpr")[number % 2])
    assert (await ben.agree(granted=False)).status_code == 201


async def test_a_refusal_goes_with_the_person(person, service, admin, open_erasure) -> None:
    ann = person()
    await ann.agree(granted=False, metadata={"screen": "canary"}, residence="US-IL")
    holdings = Holdings(service, HOLDINGS)
    await open_erasure(ann.id)
    await holdings.erase([ann.id])
    [row] = await admin.fetch("SELECT * FROM consent.entries")
    assert (row["user_id"], row["metadata"], row["residence"], row["salt"]) == (None,) * 4
    assert set((await holdings.count([ann.id]))[ann.id].values()) == {0}


async def test_E02_a_consent_is_renewed_in_its_last_days(person, ask, admin, clock) -> None:  # noqa: N802
    ann = person()
    first = (await ann.agree()).json()
    clock.advance(timedelta(days=699))
    assert (await ann.agree()).json()["id"] == first["id"]
    clock.advance(timedelta(days=2))
    renewed = (await ann.agree()).json()
    assert renewed["id"] != first["id"]
    assert renewed["expires_at"] > first["expires_at"]
    assert [(it["id"], it["status"]) for it in await ann.consents()] == [
        (renewed["id"], "live"),
        (first["id"], "superseded"),
    ]
    answer = (await ask(ann.id)).json()
    assert (answer["consent_id"], answer["epoch"], answer["withdrawn_epoch"]) == (renewed["id"], 2, 0)
    assert await entries(admin) == [("grant", 1), ("renewal", 2)]
    assert await announced(admin) == [("granted", 1), ("granted", 2)]
    assert (await ann.agree()).json()["id"] == renewed["id"]
    assert (await ann.withdraw(renewed["id"])).json()["status"] == "withdrawn"
    assert {it["status"] for it in await ann.consents()} == {"withdrawn"}


async def test_a_renewal_lapses_like_a_grant(person, ask, clock, service, admin) -> None:
    ann = person()
    await ann.agree()
    clock.advance(timedelta(days=729))
    await ann.agree()
    clock.advance(timedelta(days=729))
    assert (await ask(ann.id)).json()["granted"] is True
    clock.advance(timedelta(days=2))
    assert (await ask(ann.id)).json()["granted"] is False

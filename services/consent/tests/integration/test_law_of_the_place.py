import asyncio
from collections import Counter

import pytest

from chassis.holdings import Holdings
from consent.holdings import HOLDINGS
from consent.repositories import Ledger

ILLINOIS = {"country_code": "US", "state_code": "IL"}


@pytest.mark.parametrize(
    ("granted", "place", "holds"),
    [
        ("generic", ILLINOIS, "bipa"),
        ("ccpa", ILLINOIS, "bipa"),
        ("gdpr", {"country_code": "us", "state_code": "us-il"}, "bipa"),
        ("bipa", {"country_code": "US"}, "us_strict"),
        ("generic", {"country_code": "DE"}, "gdpr"),
        ("uk_gdpr", {"country_code": "DE"}, "gdpr"),
        ("us_strict", {"country_code": "DE"}, "gdpr"),
        # Stricter by the order, and yet without a duty that the GDPR has, and with a longer retention.
        ("bipa", {"country_code": "DE"}, "gdpr"),
        ("ccpa", {}, "generic"),
        ("cubi", {"country_code": ""}, "generic"),
    ],
)
async def test_a_weaker_law_than_that_of_the_place_is_refused_and_the_right_one_named(
    person, ask, admin, granted, place, holds
) -> None:
    ann = person()
    answer = await ann.agree(jurisdiction=granted, **place)
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["type"] == "urn:irisvue:problem:stricter-jurisdiction-holds"
    assert (problem["jurisdiction"], problem["jurisdictions"][0]) == (holds, holds)
    assert holds in problem["detail"]
    assert (await ask(ann.id)).json()["granted"] is False
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 0
    again = await ann.agree(
        jurisdiction=problem["jurisdiction"], version=problem["consent_text_version"], **place
    )
    assert again.status_code == 201


@pytest.mark.parametrize(
    ("granted", "place"),
    [
        ("bipa", ILLINOIS),
        ("us_strict", ILLINOIS),
        ("us_strict", {"country_code": "US", "state_code": "CA"}),
        ("us_strict", {"country_code": "US", "state_code": "WA"}),
        ("gdpr", {"country_code": "GB"}),
        ("gdpr", {}),
        ("bipa", {}),
        ("generic", {"country_code": None, "state_code": None}),
    ],
)
async def test_the_law_of_the_place_or_a_stricter_one_can_be_agreed_to(person, granted, place) -> None:
    answer = await person().agree(jurisdiction=granted, **place)
    assert (answer.status_code, answer.json().get("jurisdiction")) == (201, granted)


async def test_J03_what_the_law_was_found_from_stands_in_the_entry(  # noqa: N802
    person, service, admin
) -> None:
    consent = (await person().agree(jurisdiction="bipa", residence="us-wa", **ILLINOIS)).json()
    assert consent["jurisdictions"] == ["bipa", "wa_mhmda"]
    [entry] = await admin.fetch("SELECT * FROM consent.entries")
    table = service.rulebook.territories(service.clock.now().date())
    assert {
        name: entry[name]
        for name in (
            "country",
            "region",
            "residence",
            "source",
            "resolved_jurisdictions",
            "resolved_digests",
            "territories_digest",
        )
    } == {
        "country": "US",
        "region": "IL",
        "source": "device",
        "residence": "US-WA",
        "resolved_jurisdictions": ["bipa", "wa_mhmda"],
        "resolved_digests": [
            service.rulebook.regimes[code].ruleset(service.clock.now().date()).digest
            for code in ("bipa", "wa_mhmda")
        ],
        "territories_digest": table.digest,
    }
    ruleset = service.rulebook.regimes["bipa"].ruleset(service.clock.now().date())
    assert entry["ruleset_digest"] == ruleset.digest


async def test_the_place_is_part_of_the_commitment_and_goes_with_the_person(
    person, service, admin, open_erasure
) -> None:
    ann = person()
    await ann.agree(jurisdiction="bipa", residence="US-IL", **ILLINOIS)
    async with service.unit_of_work() as uow:
        [granted] = await Ledger(uow.session).grants(ann.id, limit=2)
        entry = granted.entry
        assert entry.holds()
        uow.session.expunge(entry)
    entry.region = "CA"
    assert not entry.holds()
    await open_erasure(ann.id)
    await Holdings(service, HOLDINGS).erase([ann.id])
    [row] = await admin.fetch("SELECT country, region, residence, ip_address, source FROM consent.entries")
    assert tuple(row) == (None, None, None, None, "device")


async def test_the_same_grant_from_the_same_place_has_one_effect(person, admin) -> None:
    ann = person()
    answers = await asyncio.gather(*(ann.agree(jurisdiction="bipa", **ILLINOIS) for _ in range(5)))
    assert Counter(answer.status_code for answer in answers) == {201: 5}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 1


async def test_a_longer_code_than_any_is_refused(person) -> None:
    answer = await person().agree(country_code="canary" * 50)
    assert answer.status_code == 422
    assert "canary" not in answer.text

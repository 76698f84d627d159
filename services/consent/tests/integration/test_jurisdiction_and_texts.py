import hashlib

import pytest

from contracts.fields import ConsentType

REQUIREMENTS = {
    "consent_text",
    "consent_text_version",
    "requires_explicit_consent",
    "explicit_consent",
    "jurisdiction_name",
    "purpose_disclosure",
    "retention_policy",
    "right_to_withdraw",
    "retention_days",
    "data_retention_days",
    "written_consent",
    "retention_schedule",
    "no_profit_from_data",
    "notice_at_collection",
    "opt_out_right",
    "deletion_right",
    "data_minimization",
}


@pytest.mark.parametrize(
    ("query", "jurisdictions", "country", "region"),
    [
        ("country_code=DE", ["gdpr"], "DE", None),
        ("country_code=de&state_code=by", ["gdpr"], "DE", "BY"),
        ("country_code=us&state_code=il", ["bipa"], "US", "IL"),
        ("country_code=US&state_code=TX", ["cubi"], "US", "TX"),
        ("country_code=US&state_code=CA", ["ccpa"], "US", "CA"),
        ("country_code=US", ["us_strict", "bipa", "wa_mhmda", "co", "cubi", "ccpa"], "US", None),
        ("country_code=GB", ["uk_gdpr"], "GB", None),
        ("country_code=BR", ["br"], "BR", None),
        ("country_code=NZ", ["generic"], "NZ", None),
        ("country_code=USA&state_code=IL", ["bipa"], "US", "IL"),
        ("country_code=US-IL", ["bipa"], "US", "IL"),
        ("country_code=DEU", ["gdpr"], "DE", None),
        ("country_code=GB-ENG", ["uk_gdpr"], "GB", "ENG"),
        ("country_code=PR", ["us_base"], "US", "PR"),
    ],
)
async def test_the_device_says_where_it_is(client, query, jurisdictions, country, region) -> None:
    answer = await client.get(f"/api/v1/privacy/jurisdiction?{query}")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["jurisdiction"], body["jurisdictions"]) == (jurisdictions[0], jurisdictions)
    assert (body["detected_country"], body["detected_region"]) == (country, region)
    assert body["source"] == "device"
    assert body["consent_requirements"].keys() >= REQUIREMENTS
    assert {name: body[name] for name in body["consent_requirements"]} == body["consent_requirements"]


async def test_a_place_that_can_not_be_read_gets_the_strictest_of_all(client) -> None:
    body = (await client.get("/api/v1/privacy/jurisdiction?country_code=nowhere&unknown=1")).json()
    assert (body["jurisdiction"], body["source"]) == ("us_strict", "default")
    assert (body["detected_country"], body["detected_region"]) == (None, None)
    assert body["written_consent"] is body["data_minimization"] is body["opt_out_right"] is True
    assert body["retention_days"] == 365


@pytest.mark.parametrize("query", ["", "?country_code=", "?country_code=%20&state_code=IL"])
async def test_without_a_place_the_strict_default_holds(client, query) -> None:
    body = (await client.get(f"/api/v1/privacy/jurisdiction{query}")).json()
    assert (body["jurisdiction"], body["source"]) == ("generic", "default")


async def test_an_endless_country_is_refused_without_echo(client) -> None:
    answer = await client.get("/api/v1/privacy/jurisdiction", params={"country_code": "canary" * 50})
    assert answer.status_code == 422
    assert "canary" not in answer.text


async def test_what_the_jurisdiction_shows_can_be_agreed_to(client, person) -> None:
    for query in ("country_code=DE", "country_code=US&state_code=IL", "country_code=US", ""):
        shown = (await client.get(f"/api/v1/privacy/jurisdiction?{query}")).json()
        answer = await person().agree(
            jurisdiction=shown["jurisdiction"], version=shown["consent_text_version"]
        )
        assert shown["signature_required"] is shown["written_consent"]
        assert answer.status_code == 201


async def test_illinois_asks_for_what_its_law_asks_for(client) -> None:
    body = (await client.get("/api/v1/privacy/jurisdiction?country_code=US&state_code=IL")).json()
    assert body["written_consent"] is True
    assert body["retention_schedule"] is True
    assert body["no_profit_from_data"] is True
    assert body["data_minimization"] is False
    assert body["retention_days"] == body["data_retention_days"] == 1095


@pytest.mark.parametrize("consent_type", list(ConsentType))
async def test_texts_carry_the_digest_of_what_is_shown(client, consent_type) -> None:
    body = (await client.get(f"/api/v1/privacy/consent-texts/GDPR/{consent_type}")).json()
    assert (body["jurisdiction"], body["consent_type"]) == ("gdpr", consent_type)
    [current] = [text for text in body["texts"] if text["current"]]
    assert current["version"] == body["current_version"]
    assert current["digest"] == hashlib.sha256(current["text"].encode()).hexdigest()


async def test_texts_of_unknown_places_and_purposes_are_not_found(client) -> None:
    unknown = await client.get("/api/v1/privacy/consent-texts/atlantis/marketing")
    assert (unknown.status_code, "atlantis" in unknown.text) == (404, False)
    assert (
        "bipa, br, ca, ca_qc, ccpa, ch, co, cubi, gdpr, generic, in, kr, md, nv, uk_gdpr"
        in unknown.json()["detail"]
    )
    assert (await client.get("/api/v1/privacy/consent-texts/gdpr/telepathy")).status_code == 422


async def test_every_row_of_the_published_schedule_says_whether_it_is_enforced(client) -> None:
    schedules = (await client.get("/api/v1/privacy/retention-schedule")).json()["jurisdictions"]
    for schedule in schedules:
        assert schedule["consent_expiry_enforced"] is True
        for row in schedule["items"]:
            assert row["enforced"] is True
            assert row["enforcement"]


async def test_the_retention_schedule_is_public_and_is_the_one_that_is_shown(client) -> None:
    schedules = (await client.get("/api/v1/privacy/retention-schedule")).json()["jurisdictions"]
    by_code = {schedule["jurisdiction"]: schedule for schedule in schedules}
    assert by_code.keys() >= {"gdpr", "uk_gdpr", "bipa", "cubi", "ccpa", "generic"}
    assert by_code["bipa"]["retention_days"] == 1095
    shown = (await client.get("/api/v1/privacy/jurisdiction?country_code=US&state_code=IL")).json()
    assert shown["retention_days"] == by_code["bipa"]["retention_days"]
    for schedule in schedules:
        assert {item["category"] for item in schedule["items"]} >= {"biometric", "consent_record"}
        assert all(item["destruction"] for item in schedule["items"])

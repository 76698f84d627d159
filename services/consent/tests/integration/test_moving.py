"""Whoever moves to where the law asks for more agrees again before anything new is taken."""

from datetime import date
from html import escape

import pytest

from consent.main import CONSENT

ILLINOIS = {"country_code": "US", "state_code": "IL"}
BERLIN = {"country_code": "DE"}
MARYLAND = {"country_code": "US", "state_code": "MD"}
QUEBEC = {"country_code": "CA", "state_code": "QC"}


@pytest.fixture
def seen_at(ask, client):
    """Ask as storage does about who is seen there: `await seen_at(user_id, country_code=…)`."""

    async def answer(user_id, **place):
        told = (await ask(user_id, place=place)).json()
        return told["granted"], told["may_collect"], told["stricter_jurisdiction"]

    return answer


async def test_J03_who_moves_from_germany_to_illinois_signs_the_release_first(  # noqa: N802
    person, seen_at
) -> None:
    ann = person()
    assert (await ann.agree(**BERLIN)).status_code == 201
    assert await seen_at(ann.id, **BERLIN) == (True, True, None)
    # What there is stays; nothing new is taken.
    assert await seen_at(ann.id, **ILLINOIS) == (True, False, "bipa")
    status = await ann.call("GET", "/consent/biometric-status", params=ILLINOIS)
    assert status.json() == {"has_consent": False, "consent_record": None}
    assert (await ann.agree(jurisdiction="gdpr", **ILLINOIS)).status_code == 409
    unsigned = await ann.agree(jurisdiction="bipa", metadata={"signature": " "}, **ILLINOIS)
    assert unsigned.status_code == 422
    assert await seen_at(ann.id, **ILLINOIS) == (True, False, "bipa")
    assert (await ann.agree(jurisdiction="bipa", **ILLINOIS)).status_code == 201
    assert await seen_at(ann.id, **ILLINOIS) == (True, True, None)
    # Back home the release alone is not what the law there asks for.
    assert await seen_at(ann.id, **BERLIN) == (True, False, "gdpr")


async def test_J03_who_agreed_for_both_places_is_at_home_in_both(person, seen_at) -> None:  # noqa: N802
    ann = person()
    granted = await ann.agree(jurisdiction="bipa", residence="DE", **ILLINOIS)
    assert granted.json()["jurisdictions"] == ["bipa", "gdpr"]
    assert await seen_at(ann.id, **BERLIN) == (True, True, None)
    assert await seen_at(ann.id, **ILLINOIS) == (True, True, None)


async def test_J02_a_place_that_can_not_be_read_says_nothing(person, seen_at) -> None:  # noqa: N802
    ann = person()
    await ann.agree(**BERLIN)
    for place in ({}, {"country_code": "nowhere"}, {"country_code": ""}):
        assert await seen_at(ann.id, **place) == (True, True, None)


async def test_who_never_agreed_may_collect_nothing_anywhere(person, seen_at) -> None:
    assert await seen_at(person().id, **ILLINOIS) == (False, False, None)


async def test_B15b_a_release_needs_a_typed_name_and_says_where_it_goes(person, admin) -> None:  # noqa: N802
    for metadata in (
        None,
        {},
        {"signature": ""},
        {"signature": "..."},
        {"signature": True},
        {"signature": ["Ann"]},
    ):
        body = {
            "consent_type": "biometric_capture",
            "jurisdiction": "bipa",
            "consent_text_version": "2026-11",
            "metadata": metadata,
        }
        answer = await person().call("POST", "/consent", json=body)
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:irisvue:problem:signature-missing"
        assert answer.json()["errors"][0]["field"] == "metadata.signature"
        assert "type your full name" in answer.json()["detail"]
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 0


async def test_B15b_a_release_is_for_biometric_data_and_not_for_news(person) -> None:  # noqa: N802
    body = {"consent_type": "marketing", "jurisdiction": "bipa", "consent_text_version": "2026-01"}
    assert (await person().call("POST", "/consent", json=body)).status_code == 201


async def test_B15b_the_release_of_a_place_is_signed_under_a_text_that_covers_it(person) -> None:  # noqa: N802
    answer = await person().agree(jurisdiction="us_strict", metadata={"signature": ""}, **ILLINOIS)
    assert answer.status_code == 422


async def test_J04_maryland_refuses_with_consent_too(person, admin) -> None:  # noqa: N802
    for jurisdiction in ("md", "gdpr", "us_strict"):
        answer = await person().agree("data_processing", jurisdiction=jurisdiction, **MARYLAND)
        assert (answer.status_code, answer.json()["type"]) == (
            451,
            "urn:irisvue:problem:purpose-not-necessary",
        )
        assert answer.json()["jurisdiction"] == "md"
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 0
    assert (await person().agree(jurisdiction="md", **MARYLAND)).status_code == 201


async def test_J04_quebec_waits_for_its_regulator(  # noqa: N802
    person, client, app, service, issuer
) -> None:
    told = await client.get("/api/v1/privacy/jurisdiction", params=QUEBEC)
    assert told.json()["blocked"] == ["biometric_capture", "data_processing"]
    blocked = await person().agree(jurisdiction="ca_qc", **QUEBEC)
    assert (blocked.status_code, blocked.json()["type"]) == (451, "urn:irisvue:problem:jurisdiction-blocked")
    assert (await person().agree("marketing", jurisdiction="ca_qc", **QUEBEC)).status_code == 201
    settings = service.settings.model_copy(update={"regulator_filings": {"ca_qc": date(2026, 1, 1)}})
    opened = type(service)(**{**vars(service), "settings": settings})
    CONSENT.install(app, opened)
    app.state.access_tokens = issuer.verifier
    assert (await person().agree(jurisdiction="ca_qc", **QUEBEC)).status_code == 201
    assert (await client.get("/api/v1/privacy/jurisdiction", params=QUEBEC)).json()["blocked"] == []


async def test_J01_a_resident_of_illinois_in_washington_signs_and_agrees_to_collecting_alone(  # noqa: N802
    client, person
) -> None:
    place = {"country_code": "US", "state_code": "WA", "residence": "US-IL"}
    told = (await client.get("/api/v1/privacy/jurisdiction", params=place)).json()
    assert told["jurisdictions"] == ["bipa", "wa_mhmda"]
    assert (told["signature_required"], told["separate_consents"]) == (True, ["collect", "share"])
    assert [regime["jurisdiction"] for regime in told["regimes"]] == ["bipa", "wa_mhmda"]
    assert {obligation["kind"] for obligation in told["regimes"][1]["obligations"]} >= {"separate_consent"}
    answer = await person().agree(jurisdiction="bipa", **place)
    assert answer.json()["jurisdictions"] == ["bipa", "wa_mhmda"]


@pytest.mark.parametrize(
    "combined", [["biometric_capture", "marketing"], "biometric_capture,marketing", "share"]
)
async def test_W2_no_grant_is_for_more_than_one_thing(person, combined) -> None:  # noqa: N802
    body = {"consent_type": combined, "jurisdiction": "wa_mhmda", "consent_text_version": "2026-11"}
    assert (await person().call("POST", "/consent", json=body)).status_code == 422


async def test_a_german_reads_and_agrees_to_german_words(person, client, admin) -> None:
    headers = {"Accept-Language": "de-AT, en;q=0.5"}
    place = {"country_code": "AT"}
    shown = await client.get("/api/v1/privacy/jurisdiction", params=place, headers=headers)
    assert (shown.headers["content-language"], shown.json()["consent_text_locale"]) == ("de", "de")
    assert "Accept-Language" in shown.headers["vary"]
    assert shown.json()["consent_text"].startswith("Einwilligung")
    assert shown.json()["parental_authorisation_below"] == 14
    ann = person()
    ann.headers.update(headers)
    assert (await ann.agree(**place)).status_code == 201
    ben = person()
    assert (await ben.agree(consent_text_locale="en", **place)).status_code == 201
    rows = await admin.fetch("SELECT locale, text_digest FROM consent.entries ORDER BY position")
    assert [row["locale"] for row in rows] == ["de", "en"]
    assert rows[0]["text_digest"] == shown.json()["consent_text_digest"] != rows[1]["text_digest"]


async def test_who_reads_no_language_that_there_is_reads_english(client) -> None:
    shown = await client.get(
        "/api/v1/privacy/consent-texts/gdpr/marketing", headers={"Accept-Language": "fr, de;q=0"}
    )
    assert (shown.headers["content-language"], shown.json()["languages"]) == ("en", ["de", "en"])
    [current] = [text for text in shown.json()["texts"] if text["current"]]
    assert current["locale"] == "en"


async def test_a_language_without_a_text_is_refused_with_those_that_there_are(person) -> None:
    answer = await person().agree(consent_text_locale="fr")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:irisvue:problem:language-unknown")
    assert "de, en" in answer.json()["detail"]


async def test_B15a_the_schedule_is_a_page_that_anybody_can_read(client) -> None:  # noqa: N802
    path = "/api/v1/privacy/retention-schedule"
    page = await client.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["vary"] == "Accept"
    data = (await client.get(path, headers={"Accept": "application/json"})).json()
    assert (await client.get(path)).json() == data
    for schedule in data["jurisdictions"]:
        assert f'id="{schedule["jurisdiction"]}"' in page.text
        for item in schedule["items"]:
            assert escape(item["basis"]) in page.text
            if item["days"] is not None:
                assert f"At most {item['days']} days" in page.text
    assert "<script" not in page.text


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        ("text/html", True),
        ("TEXT/HTML; charset=utf-8 ; q=0.5", True),
        ("application/json;q=0.5, text/html", True),
        ("text/html;q=0.5, application/json", False),
        ("text/html, application/json", False),
        ("text/html;q=0", False),
        ("*/*", False),
        ("", False),
    ],
)
async def test_who_prefers_a_page_gets_one(client, accept, page) -> None:
    answer = await client.get("/api/v1/privacy/retention-schedule", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/html") is page

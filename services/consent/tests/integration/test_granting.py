import asyncio
import hashlib
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from consent.main import CONSENT
from consent.repositories import Ledger


async def outbox(admin) -> list[dict]:
    rows = await admin.fetch("SELECT body FROM consent.outbox ORDER BY position")
    return [json.loads(row["body"]) for row in rows]


async def test_a_grant_is_recorded_listed_and_announced(person, ask, admin, clock) -> None:
    ann = person()
    answer = await ann.agree(jurisdiction="GDPR", metadata={"screen": "onboarding-3"})
    assert answer.status_code == 201
    consent = answer.json()
    assert consent["granted"] is True
    assert consent["withdrawn_at"] is None
    assert (consent["user_id"], consent["jurisdiction"]) == (str(ann.id), "gdpr")
    assert consent["jurisdictions"] == ["gdpr"]
    assert consent["granted_at"].endswith("Z")
    assert await ann.consents() == [consent]
    status = (await ann.call("GET", "/consent/biometric-status")).json()
    assert status == {"has_consent": True, "consent_record": consent}
    assert (await ask(ann.id)).json() == {
        "granted": True,
        "consent_id": consent["id"],
        "epoch": 1,
        "withdrawn_epoch": 0,
        "jurisdiction": "gdpr",
        "may_collect": True,
        "stricter_jurisdiction": None,
    }
    [event] = await outbox(admin)
    assert event["type"] == "consent.consent.granted.v1"
    assert event["subject"] == f"users/{ann.id}"
    assert event["data"] == {
        "user_id": str(ann.id),
        "consent_id": consent["id"],
        "consent_type": "biometric_capture",
        "jurisdiction": "gdpr",
        "consent_text_version": "2026-01",
        "epoch": 1,
        "granted_at": consent["granted_at"],
    }


async def test_G71_the_exact_words_and_rules_can_be_proved_from_the_entry(  # noqa: N802
    person, service
) -> None:
    ann = person()
    await ann.agree(jurisdiction="bipa", metadata={"signature": "Ann Example"})
    texts = (await ann.call("GET", "/consent-texts/bipa/biometric_capture")).json()["texts"]
    [shown] = [text for text in texts if text["current"]]
    async with service.unit_of_work() as uow:
        [granted] = await Ledger(uow.session).grants(ann.id, limit=2)
    entry = granted.entry
    assert entry.text_digest == shown["digest"] == hashlib.sha256(shown["text"].encode()).hexdigest()
    ruleset = service.rulebook.regimes["bipa"].ruleset(service.clock.now().date())
    assert (entry.ruleset_version, entry.ruleset_digest) == (ruleset.version, ruleset.digest)
    assert entry.details == '{"signature":"Ann Example"}'
    assert entry.holds()


async def test_twenty_grants_at_once_have_one_effect(person, admin) -> None:
    ann = person()
    answers = await asyncio.gather(*(ann.agree() for _ in range(20)))
    assert [answer.status_code for answer in answers] == [201] * 20
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 1
    assert len(await outbox(admin)) == 1


async def test_a_double_tap_returns_the_consent_there_is(person) -> None:
    ann = person()
    first, second = await ann.agree(), await ann.agree(metadata={"tap": 2})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()


async def test_another_jurisdiction_supersedes_the_consent_that_is_live(person, ask) -> None:
    ann = person()
    old = (await ann.agree(jurisdiction="gdpr")).json()
    new = (await ann.agree(jurisdiction="bipa")).json()
    assert new["id"] != old["id"]
    listed = await ann.consents()
    assert [(consent["id"], consent["status"], consent["granted"]) for consent in listed] == [
        (new["id"], "live", True),
        (old["id"], "superseded", False),
    ]
    answer = (await ask(ann.id)).json()
    assert (answer["consent_id"], answer["epoch"], answer["jurisdiction"]) == (new["id"], 2, "bipa")


async def test_the_strict_american_profile_counts_for_the_states_it_covers(person) -> None:
    consent = (await person().agree(jurisdiction="us_strict")).json()
    assert consent["jurisdictions"] == ["us_strict", "bipa", "wa_mhmda", "co", "cubi", "ccpa"]


async def test_purposes_are_agreed_to_one_by_one(person, ask) -> None:
    ann = person()
    await ann.agree("marketing")
    assert (await ask(ann.id, "marketing")).json()["granted"] is True
    assert (await ask(ann.id, "biometric_capture")).json()["granted"] is False
    status = (await ann.call("GET", "/consent/biometric-status")).json()
    assert status == {"has_consent": False, "consent_record": None}


async def test_a_consent_lapses_by_itself_and_can_be_given_again(person, ask, clock) -> None:
    ann = person()
    lapsed = (await ann.agree()).json()
    clock.advance(timedelta(days=730))
    assert (await ask(ann.id)).json()["granted"] is False
    assert [consent["status"] for consent in await ann.consents()] == ["expired"]
    renewed = (await ann.agree()).json()
    assert renewed["id"] != lapsed["id"]
    assert Counter(consent["granted"] for consent in await ann.consents()) == {True: 1, False: 1}


@pytest.mark.parametrize(
    ("changed", "slug"),
    [
        ({"version": "2025-12"}, "consent-text-outdated"),
        ({"jurisdiction": "atlantis"}, "jurisdiction-unknown"),
    ],
)
async def test_what_was_not_shown_can_not_be_agreed_to(person, admin, changed, slug) -> None:
    answer = await person().agree(**changed)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:irisvue:problem:{slug}"
    assert "2025-12" not in answer.text
    assert ("2026-01" in answer.json()["detail"]) is (slug == "consent-text-outdated")
    assert "atlantis" not in answer.text
    named = [
        name in answer.json()["detail"] for name in ("bipa", "ccpa", "cubi", "gdpr", "generic", "uk_gdpr")
    ]
    assert named == [slug == "jurisdiction-unknown"] * 6
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 0
    assert await admin.fetchval("SELECT count(*) FROM consent.gates") == 0


def a_grant(**changed: str) -> str:
    """JSON of a good request, with some values replaced by literal JSON."""
    values = {"consent_type": '"marketing"', "jurisdiction": '"gdpr"', "consent_text_version": '"2026-01"'}
    return "{" + ",".join(f'"{name}":{literal}' for name, literal in (values | changed).items()) + "}"


async def send(person, body: str):
    headers = {**person.headers, "Content-Type": "application/json"}
    return await person.client.post("/api/v1/privacy/consent", content=body, headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "[]",
        "null",
        "not json",
        a_grant(consent_type='"telepathy-canary"'),
        a_grant(jurisdiction='"gd\\u0000pr-canary"'),
        a_grant(jurisdiction='""'),
        a_grant(jurisdiction="7"),
        a_grant(consent_text_version='"canary canary"'),
        a_grant(consent_text_version="null"),
        a_grant(metadata='"canary"'),
        a_grant(metadata='{"a":NaN}'),
        a_grant(metadata='{"a":1e999}'),
        a_grant(metadata='{"a":"' + "canary" * 1000 + '"}'),
        a_grant(metadata='{"a":' + "[" * 500 + "]" * 500 + "}"),
    ],
)
async def test_a_malformed_grant_changes_nothing_and_is_not_echoed(person, admin, body) -> None:
    answer = await send(person(), body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "canary" not in answer.text
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 0


@pytest.mark.parametrize("literal", ["0", "1", '"no"', '"yes"', '"true"', "null", "[]", "1.0"])
async def test_anything_else_than_true_is_never_a_yes(person, ask, admin, literal) -> None:
    ann = person()
    answer = await send(ann, a_grant(granted=literal))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "granted"
    assert "true or false" in answer.json()["detail"]
    assert (await ask(ann.id, "marketing")).json()["granted"] is False
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 0


@pytest.mark.parametrize(
    "contradiction",
    [
        {"explicit_consent": "false"},
        {"explicit_consent": '"No"'},
        {"Consent": "0"},
        {"agreed": "null"},
        {"accepted": '" false "'},
        {"withdrawn": "true"},
        {"refused": '"yes"'},
        {"opt_out": "1"},
        {"metadata": '{"explicit_consent":false}'},
        {"metadata": '{"declined":true}'},
    ],
)
async def test_a_field_that_contradicts_the_grant_refuses_it(person, ask, admin, contradiction) -> None:
    ann = person()
    answer = await send(ann, a_grant(**contradiction))
    assert answer.status_code == 422
    assert "says no" in answer.json()["detail"]
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 0


async def test_what_agrees_with_the_grant_or_says_nothing_about_it_does_not_stop_it(person) -> None:
    for more in (
        {"granted": "true"},
        {"explicit_consent": "true", "withdrawn": "false", "user_agent": '"no"', "metadata": '{"no":"no"}'},
    ):
        answer = await send(person(), a_grant(**more))
        assert (answer.status_code, answer.json()["granted"]) == (201, True)


@pytest.mark.parametrize("spelling", ["MARKETING", " Marketing ", "marketing"])
async def test_a_purpose_is_read_case_insensitively(person, spelling) -> None:
    ann = person()
    assert (await ann.agree(spelling)).json()["consent_type"] == "marketing"
    shown = await ann.call("GET", f"/consent-texts/gdpr/{spelling.strip()}")
    assert (shown.status_code, shown.json()["consent_type"]) == (200, "marketing")


@pytest.mark.parametrize("unknown", ["biometrics", "", 7, None, ["marketing"]])
async def test_the_error_for_an_unknown_purpose_names_the_known_ones(person, unknown) -> None:
    answer = await person().agree(unknown)
    assert answer.status_code == 422
    assert "one of: biometric_capture, data_processing, marketing" in answer.json()["detail"]


@pytest.mark.parametrize(
    "literal",
    ['{"a":"nul \\u0000"}', '{"a":"half a \\ud800 pair"}', '{"👁":{"deep":[1,null,0.5]}}', "{}", "null"],
)
async def test_metadata_is_kept_to_the_letter_even_where_a_database_balks(person, service, literal) -> None:
    ann = person()
    assert (await send(ann, a_grant(metadata=literal))).status_code == 201
    async with service.unit_of_work() as uow:
        [granted] = await Ledger(uow.session).grants(ann.id, limit=2)
    assert json.loads(granted.entry.details or "null") == json.loads(literal)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/consent"),
        ("POST", "/consent"),
        ("GET", "/consent/biometric-status"),
        ("POST", "/consent/019ab0c4-1000-7001-8001-0000316edc57/withdraw"),
    ],
)
async def test_without_a_token_nobody_has_consents(client, method, path) -> None:
    answer = await client.request(method, f"/api/v1/privacy{path}")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_mind_is_changed_a_bounded_number_of_times_an_hour(person, admin, clock) -> None:
    ann, ben = person(), person()
    for _ in range(10):
        granted = (await ann.agree()).json()
        assert (await ann.withdraw(granted["id"])).status_code == 200
    refused = await ann.agree()
    assert refused.status_code == 429
    assert refused.json()["type"] == "urn:irisvue:problem:too-many-consent-changes"
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 20
    assert (await ann.agree("marketing")).status_code == 201
    assert (await ben.agree()).status_code == 201
    await admin.execute("UPDATE consent.entries SET occurred_at = occurred_at - interval '1 hour'")
    assert (await ann.agree()).status_code == 201


async def test_a_withdrawal_is_never_one_too_many_and_a_double_tap_never_counts(person) -> None:
    ann = person()
    for number in range(20):
        jurisdiction = ("gdpr", "bipa")[number % 2]
        granted = (await ann.agree(jurisdiction=jurisdiction)).json()
    assert (await ann.agree(jurisdiction="gdpr")).status_code == 429
    assert (await ann.agree(jurisdiction="bipa")).json() == granted
    assert (await ann.withdraw(granted["id"])).status_code == 200


@pytest.fixture
def proved_address_needed(app, service, issuer) -> None:
    settings = service.settings.model_copy(update={"proved_address_for_biometrics": True})
    CONSENT.install(app, replace(service, settings=settings))
    app.state.access_tokens = issuer.verifier


async def test_pictures_can_wait_for_a_proved_address(proved_address_needed, person, admin) -> None:
    ann = person()
    refused = await ann.agree()
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:irisvue:problem:prove-address-first")
    assert (await person(email_verified=False).agree()).status_code == 403
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 0
    assert (await ann.agree("marketing")).status_code == 201
    assert (await person(email_verified=True).agree()).status_code == 201


async def test_by_default_no_address_needs_to_be_proved(person) -> None:
    assert (await person(email_verified=False).agree()).status_code == 201

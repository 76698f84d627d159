"""G-7.1: every kind of entry, under every law and for every purpose, has a record and a page."""

import json
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from consent.models import LedgerEntry
from consent.pages import receipt_page
from consent.policy import EntryKind
from consent.receipts import Issuer, receipt_id
from consent.rule_files import load_records, load_rulebook
from contracts.fields import ConsentType

NOW = datetime(2028, 1, 10, 9, 30, tzinfo=UTC)
RULES = load_rulebook()
ISSUER = Issuer(load_records(), RULES, "https://irisvue.example")
PERSON, CONSENT = UUID(int=1), UUID(int=2)


def entry(kind: EntryKind, consent_type: ConsentType, jurisdiction: str, **more) -> LedgerEntry:
    regime = RULES.regimes[jurisdiction]
    rules, text = regime.ruleset(NOW.date()), regime.current_text(consent_type, NOW.date())
    says_yes = kind in {EntryKind.GRANT, EntryKind.RENEWAL}
    fields = {
        "kind": kind.value,
        "consent_type": consent_type.value,
        "jurisdiction": jurisdiction,
        "jurisdictions": list(rules.covers),
        "consent_text_version": text.version,
        "text_digest": text.sha256,
        "locale": text.locale,
        "ruleset_version": rules.version,
        "ruleset_digest": rules.digest,
        "occurred_at": NOW,
        "expires_at": NOW + timedelta(days=rules.consent_valid_days) if says_yes else None,
        "user_id": PERSON,
        "consent_id": CONSENT,
        "salt": bytes(32),
    }
    return LedgerEntry(**fields | more)


@pytest.mark.parametrize("jurisdiction", sorted(RULES.regimes))
def test_g71_every_entry_has_a_record_and_a_page(jurisdiction: str) -> None:
    for kind, consent_type in product(EntryKind, ConsentType):
        record = ISSUER.record(entry(kind, consent_type, jurisdiction))
        assert json.loads(json.dumps(record)) == record
        assert all(record[field] for field in record if field not in {"dpv:hasObligation", "dpv:hasRight"})
        assert record["dpv:hasObligation"] + record["dpv:hasRight"]
        assert record["dpv:hasConsentStatus"]["event"] == kind.value
        assert ("dpv:hasIndicationMethod" in record["dpv:hasConsentStatus"]) == (kind != EntryKind.EXPIRY)
        duration = {it["@type"]: it for it in record["dpv:hasStorageCondition"]}["dpv:StorageDuration"]
        assert duration["dpv:hasDuration"].startswith("P" if consent_type != ConsentType.MARKETING else "As")
        page = receipt_page({**record, "log": {"origin": "log.example", "leaf_index": 3}}, "a.b.c")
        assert "log.example, leaf 3" in page


def test_g71_of_several_laws_the_shortest_period_counts_and_all_clauses_do() -> None:
    both = entry(
        EntryKind.GRANT,
        ConsentType.BIOMETRIC_CAPTURE,
        "gdpr",
        resolved_jurisdictions=["gdpr", "co"],
    )
    alone = ISSUER.record(entry(EntryKind.GRANT, ConsentType.BIOMETRIC_CAPTURE, "gdpr"))
    record = ISSUER.record(both)
    assert list(record["dpv:hasJurisdiction"]["laws"]) == ["gdpr", "co"]
    assert len(record["dpv:hasObligation"]) > len(alone["dpv:hasObligation"])
    days = [it["days"] for it in record["dpv:hasStorageCondition"] if it["@type"] == "dpv:StorageDeletion"]
    assert {"@type": "dpv:StorageDuration", "dpv:hasDuration": f"P{min(days)}D"} in record[
        "dpv:hasStorageCondition"
    ]


def test_g71_clauses_that_are_about_another_purpose_are_not_named() -> None:
    capture, marketing = (
        ISSUER.record(entry(EntryKind.GRANT, kind, "bipa"))
        for kind in (ConsentType.BIOMETRIC_CAPTURE, ConsentType.MARKETING)
    )
    kinds = [{it["kind"] for it in record["dpv:hasObligation"]} for record in (capture, marketing)]
    assert "written_release" in kinds[0]
    assert "written_release" not in kinds[1]


def test_g71_page_escapes_everything() -> None:
    record = ISSUER.record(entry(EntryKind.GRANT, ConsentType.MARKETING, "gdpr", locale="<script>&"))
    page = receipt_page({**record, "log": {"origin": '"><script>', "leaf_index": 3}}, "<b>.b.c")
    assert "<script" not in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    ("name", "contact", "named"),
    [
        ("", "", ("IrisVue", "Settings › Privacy")),
        ("Iris GmbH", "", ("Iris GmbH", "Settings › Privacy")),
        ("Iris GmbH", "privacy@iris.example", ("Iris GmbH", "privacy@iris.example")),
    ],
)
def test_g71_operator_is_named_as_the_controller(name: str, contact: str, named: tuple[str, str]) -> None:
    issuer = Issuer(load_records().under(name, contact), RULES, "https://irisvue.example")
    record = issuer.record(entry(EntryKind.GRANT, ConsentType.MARKETING, "gdpr"))
    [controller] = record["dpv:hasDataController"]
    assert (controller["dpv:hasName"], controller["dpv:hasContact"]) == named


def test_g71_blank_entry_has_no_record() -> None:
    blank = entry(EntryKind.GRANT, ConsentType.MARKETING, "gdpr", user_id=None, consent_id=None, salt=None)
    with pytest.raises(ValueError, match="blank"):
        ISSUER.record(blank)


def test_g71_id_of_a_receipt_is_that_of_its_leaf() -> None:
    assert receipt_id(b"leaf") == receipt_id(b"leaf") != receipt_id(b"another")

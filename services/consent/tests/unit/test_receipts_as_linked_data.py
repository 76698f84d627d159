"""G-7.1: a stranger's JSON-LD library reads every key of a receipt, and fetches nothing for it."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pyld import jsonld

from consent.models import LedgerEntry
from consent.policy import EntryKind
from consent.receipts import Issuer
from consent.rule_files import load_records, load_rulebook
from contracts.fields import ConsentType

NOW = datetime(2028, 1, 10, 9, 30, tzinfo=UTC)
RULES = load_rulebook()
ISSUER = Issuer(load_records(), RULES, "https://irisvue.example")
DPV, GDPR = "https://w3id.org/dpv#", "https://w3id.org/dpv/legal/eu/gdpr#"
LOG = {"leaf": '{"kind":"grant"}', "leaf_index": 3, "proof": ["AA=="], "committed": {"metadata": None}}


def fetch_nothing(url: str, _options: Any) -> None:
    raise AssertionError(f"{url} is not to be fetched")


def receipt(kind: EntryKind, consent_type: ConsentType, jurisdiction: str) -> dict[str, Any]:
    """Return the claims of a receipt as they are signed."""
    regime = RULES.regimes[jurisdiction]
    rules, text = regime.ruleset(NOW.date()), regime.current_text(consent_type, NOW.date())
    says_yes = kind in {EntryKind.GRANT, EntryKind.RENEWAL}
    entry = LedgerEntry(
        kind=kind.value,
        consent_type=consent_type.value,
        jurisdiction=jurisdiction,
        jurisdictions=list(rules.covers),
        consent_text_version=text.version,
        text_digest=text.sha256,
        locale=text.locale,
        ruleset_version=rules.version,
        ruleset_digest=rules.digest,
        occurred_at=NOW,
        expires_at=NOW + timedelta(days=rules.consent_valid_days) if says_yes else None,
        user_id=UUID(int=1),
        consent_id=UUID(int=2),
        salt=bytes(32),
    )
    claims = {"iss": "https://irisvue.example", "jti": "0" * 64, "iat": 1_831_109_400, "log": LOG}
    return ISSUER.record(entry) | claims


def keys(node: Any) -> Iterator[str]:
    """Yield every key that is to have a meaning; names of laws and the bytes of the log are values."""
    if isinstance(node, list):
        for item in node:
            yield from keys(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name != "@context":
                yield name
                yield from () if name in {"log", "laws"} else keys(value)


@pytest.mark.parametrize("jurisdiction", sorted(RULES.regimes))
@pytest.mark.parametrize("kind", EntryKind)
def test_g71_no_key_of_a_receipt_is_dropped(kind: EntryKind, jurisdiction: str) -> None:
    for consent_type in ConsentType:
        claims = receipt(kind, consent_type, jurisdiction)
        options = {"documentLoader": fetch_nothing, "processingMode": "json-ld-1.1"}
        expanded = jsonld.expand(claims, options)
        again = jsonld.compact(expanded, claims["@context"], options)
        assert Counter(keys(again)) == Counter(keys(claims))
        assert again["log"] == LOG
        assert again["dpv:hasJurisdiction"] == claims["dpv:hasJurisdiction"]


def test_g71_terms_are_those_of_the_vocabularies() -> None:
    claims = receipt(EntryKind.GRANT, ConsentType.BIOMETRIC_CAPTURE, "gdpr")
    [record] = jsonld.expand(claims, {"documentLoader": fetch_nothing})
    assert record["@type"] == [f"{DPV}ConsentRecord"]
    assert [it["@id"] for it in record[f"{DPV}hasLegalBasis"]] == [f"{GDPR}A6-1-a", f"{GDPR}A9-2-a"]
    [status] = record[f"{DPV}hasConsentStatus"]
    assert status[f"{DPV}isIndicatedAtTime"] == [
        {"@type": "http://www.w3.org/2001/XMLSchema#dateTime", "@value": "2028-01-10T09:30:00Z"}
    ]
    [notice] = record[f"{DPV}hasNotice"]
    assert notice["urn:irisvue:consent:sha256"] == [{"@value": claims["dpv:hasNotice"]["sha256"]}]
    assert {"urn:irisvue:consent:kind", "urn:irisvue:consent:clause"} <= set(record[f"{DPV}hasObligation"][0])

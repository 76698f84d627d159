"""A consent receipt: what one entry of the ledger says, as a record of ISO/IEC TS 27560 in JSON-LD; pure.

The terms are those of the Data Privacy Vocabulary and of Dublin Core, the fields those of the guide of the
DPVCG to ISO/IEC TS 27560. What all records say alike comes from `records`, the law from the rulebook.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from consent.models import LedgerEntry
from consent.obligations import Obligation, ObligationKind
from consent.policy import EntryKind, utc_day
from consent.records import PurposeTerms, RecordTerms, notice_id
from consent.rulebook import Regime, Rulebook, Ruleset
from contracts.fields import ConsentType

SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#record"
API = "/api/v1/privacy"
_RIGHTS = (
    ObligationKind.WITHDRAWAL,
    ObligationKind.DELETION,
    ObligationKind.OPT_OUT,
    ObligationKind.GLOBAL_PRIVACY_CONTROL,
)
# Terms of the GDPR are a legal basis only where it holds; elsewhere consent is, under the clauses named.
# What neither vocabulary has a term for.
_OWN_TERMS = (
    *("agreed", "basis", "clause", "days", "event", "jurisdiction", "kind", "role"),
    *("ruleset_digest", "ruleset_version", "sha256"),
)
_NAME_THINGS = (
    *("dct:source", "dct:type", "dpv:hasDataSubject", "dpv:hasLegalBasis", "dpv:hasNecessity"),
    *("dpv:hasProcessing", "dpv:isExercisedAt", "dpv:isIndicatedBy", "skos:broader"),
)
_TELL_TIMES = ("dct:valid", "dpv:isIndicatedAtTime")
_BASIS_ELSEWHERE = ("dpv:Consent",)
_GDPR = "gdpr"


@dataclass(frozen=True)
class Issuer:
    """What a receipt is made with: the terms, the law, and where the API answers."""

    terms: RecordTerms
    rulebook: Rulebook
    public_url: str

    def record(self, entry: LedgerEntry) -> dict[str, Any]:
        """Return the record of an entry as JSON-LD; raises ValueError for one that is blank."""
        if entry.personal is None:
            raise ValueError("a blanked entry has no receipt")
        purpose = self.terms.purposes[ConsentType(entry.consent_type)]
        laws = dict(_laws(self.rulebook, entry))
        obligations = [(code, it) for code, rules in laws.items() for it in _obligations(rules, entry)]
        return {
            "@context": _context(self.terms.vocabulary),
            "@type": "dpv:ConsentRecord",
            "dct:conformsTo": [self.terms.schema_version, SCHEMA],
            "dct:identifier": entry.personal.consent_id.urn,
            "dct:language": entry.locale,
            "dpv:hasDataSubject": entry.personal.user_id.urn,
            "dpv:hasDataController": [self._controller()],
            "dpv:hasNotice": self._notice(entry),
            "dpv:hasPurpose": _purpose(entry, purpose),
            "dpv:hasPersonalData": _personal_data(purpose),
            "dpv:hasLegalBasis": list(purpose.legal_basis if _GDPR in laws else _BASIS_ELSEWHERE),
            "dpv:hasObligation": [_clause(code, it) for code, it in obligations if it.kind not in _RIGHTS],
            "dpv:hasRight": [_clause(code, it) for code, it in obligations if it.kind in _RIGHTS],
            "dpv:hasJurisdiction": _jurisdiction(entry, laws),
            "dpv:hasProcessing": list(self.terms.processing),
            "dpv:hasDataSource": self.terms.collection_method,
            "dpv:hasStorageCondition": self._storage(purpose, laws),
            "dpv:hasRecipient": [{"@type": it.type, "dpv:hasName": it.name} for it in self.terms.recipients],
            "dpv:hasConsentControl": self._withdrawal(entry.personal.consent_id.urn.rpartition(":")[2]),
            "dpv:hasConsentStatus": self._event(entry),
        }

    def _controller(self) -> dict[str, str]:
        terms = self.terms.controller
        return {
            "@type": terms.type,
            "dpv:hasName": terms.name,
            "dpv:hasIdentifier": terms.identified_by,
            "dpv:hasContact": terms.contact,
            "role": terms.role,
        }

    def _notice(self, entry: LedgerEntry) -> dict[str, str]:
        version = entry.consent_text_version
        return {
            "@type": "dpv:ConsentNotice",
            "dct:identifier": notice_id(entry.jurisdiction, entry.consent_type, version, entry.locale),
            "dct:hasVersion": version,
            "dct:language": entry.locale,
            "sha256": entry.text_digest,
            "dct:source": f"{self.public_url}{API}/consent-texts/{entry.jurisdiction}/{entry.consent_type}",
        }

    def _storage(self, purpose: PurposeTerms, laws: dict[str, Ruleset]) -> list[dict[str, Any]]:
        category = "biometric" if purpose.special_category else "account"
        kept = [
            (code, item)
            for code, rules in laws.items()
            for item in rules.retention_schedule
            if item.category == category
        ]
        days = [item.days for _, item in kept if item.days is not None]
        locations = [
            {"@type": "dpv:StorageLocation", "dct:description": place}
            for place in self.terms.storage_locations
        ]
        # Of several laws the shortest period counts; what has no days is kept while the account exists.
        duration = f"P{min(days)}D" if days else "As long as the account exists"
        endings = [
            {
                "@type": "dpv:StorageDeletion",
                "jurisdiction": code,
                # JSON-LD drops what is null: a key that says nothing is left out.
                **({} if item.days is None else {"days": item.days}),
                "dct:description": item.destruction,
                "basis": item.basis,
            }
            for code, item in kept
        ]
        return [*locations, {"@type": "dpv:StorageDuration", "dpv:hasDuration": duration}, *endings]

    def _withdrawal(self, consent_id: str) -> dict[str, str]:
        return {
            "@type": "dpv:WithdrawConsent",
            "dpv:isExercisedAt": f"{self.public_url}{API}/consent/{consent_id}/withdraw",
            "dct:description": self.terms.withdrawal,
        }

    def _event(self, entry: LedgerEntry) -> dict[str, Any]:
        kind = EntryKind(entry.kind)
        terms = self.terms.entries[kind]
        details = json.loads(entry.details) if entry.details else None
        said = {
            "@type": terms.state,
            "event": kind.value,
            "dct:type": terms.type,
            "dpv:isIndicatedAtTime": _moment(entry.occurred_at),
            # What nobody expressed is what the controller writes down when the time is over.
            "dpv:isIndicatedBy": self.terms.actor if terms.type else self.terms.controller.type,
            "dpv:hasIndicationMethod": self.terms.indication_method(kind, details),
            "dct:valid": _valid_until(entry, kind),
        }
        return {name: value for name, value in said.items() if value is not None}


def receipt_id(leaf: bytes) -> str:
    """Return the id of the receipt of an entry, the same each time: the SHA-256 of its leaf, in hex."""
    return hashlib.sha256(leaf).hexdigest()


def _context(vocabulary: str) -> dict[str, Any]:
    """Return what gives every key of a receipt its meaning, with nothing to fetch (JSON-LD 1.1)."""
    return {
        "@version": 1.1,
        "dpv": f"{vocabulary}#",
        "eu-gdpr": f"{vocabulary}/legal/eu/gdpr#",
        "pd": f"{vocabulary}/pd#",
        "dct": "http://purl.org/dc/terms/",
        "skos": "http://www.w3.org/2004/02/skos/core#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
        "jwt": "https://www.iana.org/assignments/jwt#",
        "irisvue": "urn:irisvue:consent:",
        **{name: f"irisvue:{name}" for name in _OWN_TERMS},
        "laws": {"@id": "irisvue:laws", "@container": "@index"},
        # Bytes that are checked as they are: nobody may read them as anything else.
        "log": {"@id": "irisvue:log", "@type": "@json"},
        **{name: {"@id": name, "@type": "@id"} for name in _NAME_THINGS},
        **{name: {"@id": name, "@type": "xsd:dateTime"} for name in _TELL_TIMES},
        "iss": {"@id": "jwt:iss", "@type": "@id"},
        "iat": "jwt:iat",
        "jti": "jwt:jti",
    }


def _laws(rulebook: Rulebook, entry: LedgerEntry) -> Iterator[tuple[str, Ruleset]]:
    """Give the rules of the regime agreed under, as they were then, and of the others that held."""
    day = utc_day(entry.occurred_at)
    others = (*entry.jurisdictions, *(entry.resolved_jurisdictions or ()))
    for code in dict.fromkeys((entry.jurisdiction, *others)):
        regime = rulebook.regimes.get(code)
        if regime is not None:
            agreed = _agreed_to(regime, entry) if code == entry.jurisdiction else None
            yield code, agreed or regime.ruleset(day)


def _agreed_to(regime: Regime, entry: LedgerEntry) -> Ruleset | None:
    return next((it for it in regime.rulesets if it.version == entry.ruleset_version), None)


def _obligations(rules: Ruleset, entry: LedgerEntry) -> list[Obligation]:
    day = utc_day(entry.occurred_at)
    about = ConsentType(entry.consent_type)
    return [
        it
        for it in rules.obligations
        if it.in_force(day) and (not it.consent_types or about in it.consent_types)
    ]


def _clause(code: str, obligation: Obligation) -> dict[str, str]:
    return {"jurisdiction": code, "kind": obligation.kind.value, "clause": obligation.clause}


def _purpose(entry: LedgerEntry, purpose: PurposeTerms) -> dict[str, str]:
    return {
        "@type": "dpv:Purpose",
        "dct:identifier": entry.consent_type,
        "dct:description": purpose.purpose,
        "skos:broader": purpose.category,
    }


def _personal_data(purpose: PurposeTerms) -> list[dict[str, Any]]:
    special = ["dpv:SpecialCategoryPersonalData"] if purpose.special_category else []
    return [
        {"@type": [category, *special], "dpv:hasNecessity": purpose.necessity}
        for category in purpose.data_categories
    ]


def _jurisdiction(entry: LedgerEntry, laws: dict[str, Ruleset]) -> dict[str, Any]:
    named = {code: rules.name for code, rules in laws.items()}
    return {
        "agreed": entry.jurisdiction,
        "laws": named,
        "ruleset_version": entry.ruleset_version,
        "ruleset_digest": entry.ruleset_digest,
    }


def _valid_until(entry: LedgerEntry, kind: EntryKind) -> str | None:
    if kind in {EntryKind.WITHDRAWAL, EntryKind.EXPIRY}:
        return _moment(entry.occurred_at)
    return None if entry.expires_at is None else _moment(entry.expires_at)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

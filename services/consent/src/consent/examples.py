"""What each operation gives, as the OpenAPI document shows it; a test holds each against its model."""

from typing import Any

_TEXT = "I agree that pictures of my iris are taken and kept for 365 days after their last use."
_DIGEST = "621b4f11312702f113f4f4c73cf9ab5a6c846e2bb2371ec5eb9311ff81f855cf"

CONSENT: dict[str, Any] = {
    "id": "019ab0c4-4000-7001-8001-0000316edc57",
    "user_id": "019ab0c4-1000-7001-8001-0000316edc57",
    "consent_type": "biometric_capture",
    "jurisdiction": "gdpr",
    "jurisdictions": ["gdpr"],
    "granted": True,
    "granted_at": "2026-11-22T09:30:00.000900Z",
    "withdrawn_at": None,
    "expires_at": "2028-11-21T09:30:00.000900Z",
    "consent_text_version": "2026-01",
    "status": "live",
}
WITHDRAWN = {
    **CONSENT,
    "granted": False,
    "withdrawn_at": "2026-11-23T18:00:00.000900Z",
    "status": "withdrawn",
}
CONSENTS = {"consents": [CONSENT], "next": None}
BIOMETRIC_STATUS = {"has_consent": True, "consent_record": CONSENT}

_REQUIREMENTS = {
    "consent_text": _TEXT,
    "consent_text_version": "2026-01",
    "consent_text_digest": _DIGEST,
    "consent_text_locale": "en",
    "requires_explicit_consent": True,
    "explicit_consent": True,
    "jurisdiction_name": "European Union and EEA (GDPR)",
    "purpose_disclosure": True,
    "retention_policy": True,
    "right_to_withdraw": True,
    "retention_days": 365,
    "data_retention_days": 365,
    "written_consent": False,
    "retention_schedule": False,
    "no_profit_from_data": False,
    "notice_at_collection": True,
    "opt_out_right": False,
    "deletion_right": True,
    "data_minimization": True,
}
JURISDICTION = {
    **_REQUIREMENTS,
    "jurisdiction": "gdpr",
    "jurisdictions": ["gdpr"],
    "detected_country": "DE",
    "detected_region": None,
    "source": "device",
    "consent_requirements": _REQUIREMENTS,
    "consent_text_languages": ["de", "en"],
    "signature_required": False,
    "separate_consents": [],
    "parental_authorisation_below": 16,
    "not_allowed": [],
    "blocked": [],
    "regimes": [
        {
            "jurisdiction": "gdpr",
            "jurisdiction_name": "European Union and EEA (GDPR)",
            "consent_text_version": "2026-01",
            "ruleset_version": "2026-11",
            "ruleset_digest": _DIGEST,
            "retention_days": 365,
            "consent_valid_days": 730,
            "obligations": [
                {
                    "kind": "explicit_consent",
                    "clause": "Article 9(2)(a) GDPR",
                    "since": "2018-05-25",
                    "until": None,
                    "consent_types": [],
                    "acts": [],
                    "age": None,
                    "ages": {},
                    "days_before_service": None,
                }
            ],
            "deadlines": [
                {
                    "item": "answer",
                    "within": 1,
                    "unit": "months",
                    "starts": "receipt",
                    "basis": "Article 12(3) GDPR",
                    "extendable_by": 2,
                }
            ],
        }
    ],
}
CONSENT_TEXTS = {
    "jurisdiction": "gdpr",
    "consent_type": "biometric_capture",
    "current_version": "2026-01",
    "languages": ["de", "en"],
    "texts": [
        {
            "version": "2026-01",
            "locale": "en",
            "digest": _DIGEST,
            "effective_from": "2026-01-01",
            "effective_to": None,
            "current": True,
            "text": _TEXT,
        }
    ],
}
RETENTION_SCHEDULE = {
    "jurisdictions": [
        {
            "jurisdiction": "gdpr",
            "jurisdiction_name": "European Union and EEA (GDPR)",
            "ruleset_version": "2026-11",
            "ruleset_digest": _DIGEST,
            "effective_from": "2026-11-01",
            "retention_days": 365,
            "consent_valid_days": 730,
            "consent_expiry_enforced": True,
            "items": [
                {
                    "category": "biometric",
                    "what": "Pictures of the iris, thumbnails and everything derived from them",
                    "days": 365,
                    "starts": "last_interaction",
                    "ends_earlier_on": ["deletion", "withdrawal", "account_deletion"],
                    "destruction": "Permanent deletion of every copy, thumbnail and derivative.",
                    "basis": "Articles 5(1)(e) and 17(1)(b) GDPR: no longer than the purpose needs",
                    "enforced": True,
                    "enforcement": "Counted are the days since the last interaction.",
                }
            ],
        }
    ]
}
_STANDING = {
    "granted": True,
    "consent_id": CONSENT["id"],
    "epoch": 1,
    "withdrawn_epoch": 0,
    "jurisdiction": "gdpr",
}
ANSWER = {**_STANDING, "may_collect": True, "stricter_jurisdiction": None}
CHANGES = {
    "position": 7,
    "last_position": 7,
    "complete": True,
    "changes": [{**_STANDING, "user_id": CONSENT["user_id"], "consent_type": "biometric_capture"}],
}
DISCLOSURE = {"pictures": True, "clause": None}
PREFERENCES: dict[str, Any] = {
    "opt_out_of_sale_and_sharing": True,
    "limit_sensitive_data_use": False,
    "opt_out_honored": True,
    "source": "gpc",
    "opted_out_at": "2026-11-22T09:30:00.000900Z",
    "gpc_honored_at": "2026-11-22T09:30:00.000900Z",
    "limited_at": None,
    "reprompt_not_before": "2027-11-22T09:30:00.000900Z",
}

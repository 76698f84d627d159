"""E-09: a certificate is checked with nothing but published keys, at the command line too."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from chassis.signing_keys import SigningKeys
from contracts.participation import erasure_digest
from identity.erasure.certificate import (
    CertificateIssuer,
    InvalidCertificate,
    VerifiedErasure,
    certificate_digest,
    read_certificate,
    verify_certificate,
)
from identity.erasure.pages import lines_of, title_of
from identity.erasure.policy import BackupTerms, Report, Retirement, Step, StepTaken
from identity.operator import run_alone

NOW = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
ERASURE = UUID("019ab0c4-1000-7001-8001-0000316edc57")
COUNTS = {"photos": 2}
NOW_7 = "2026-12-04T18:00:00.000Z"
KEY = ec.generate_private_key(ec.SECP256R1())


def keys(private_key: ec.EllipticCurvePrivateKey = KEY) -> SigningKeys:
    known = SigningKeys(private_key, token_lifetime=timedelta(minutes=30))
    known.replace([])
    return known


KEYS = keys()
JWKS = json.dumps({"keys": KEYS.published(NOW)})


def issued(of: SigningKeys = KEYS, digest: str | None = None, **changes: Any) -> str:
    issuer = CertificateIssuer(
        of,
        issuer="https://irisvue.example",
        subject_key=bytes(32),
        backups=BackupTerms(timedelta(days=30), timedelta(days=7)),
    )
    said = Report("storage", NOW, COUNTS, digest or erasure_digest(ERASURE, "storage", COUNTS), ["gdpr"])
    erasure = {
        "erasure_id": ERASURE,
        "user_id": UUID(int=1),
        "deadline": NOW,
        "completed_at": NOW,
        "steps": [StepTaken(Step.COMPLETED, NOW)],
        "reports": [said],
    }
    return issuer.issue(VerifiedErasure(**{**erasure, **changes}), now=NOW).token


def signed(claims: dict[str, Any], token_type: str = "erasure-certificate+jwt") -> str:
    return jwt.encode(claims, KEY, "ES256", {"typ": token_type, "kid": KEYS.signing(NOW).kid})


def test_a_certificate_holds_with_the_published_keys_alone() -> None:
    claims = verify_certificate(issued(), JWKS)
    assert claims["backups"]["wrapped_keys_until"] == "2026-12-04T18:00:00.000Z"


FORGED = {
    "a stranger's signature": issued(keys(ec.generate_private_key(ec.SECP256R1()))),
    "counts that are not those of the report": issued(digest="0" * 64),
    "an access token": signed({"iat": 1}, "at+jwt"),
    "nothing": signed({"iat": 1}),
    "no participants": signed({"iat": 1, "erasure_id": str(ERASURE), "participants": None}),
    "no signature": jwt.encode({"iat": 1}, None, "none", {"typ": "erasure-certificate+jwt"}),
    "no token": "certificate",
}


@pytest.mark.parametrize("what", FORGED)
def test_what_is_not_shown_is_refused(what: str) -> None:
    with pytest.raises(InvalidCertificate):
        verify_certificate(FORGED[what], JWKS)


def test_keys_that_are_none_are_a_mistake_of_who_asks() -> None:
    with pytest.raises(ValueError, match="no JWKS"):
        verify_certificate(issued(), "[]")


@pytest.mark.parametrize(("break_it", "status", "said"), [(False, 0, "holds"), (True, 1, "does not hold")])
def test_command_tells_whether_it_holds(tmp_path, capsys, monkeypatch, break_it, status, said) -> None:
    token, file, jwks = issued(), tmp_path / "certificate.jwt", tmp_path / "keys.json"
    forged = token[:-9] + ("A" if token[-9] != "A" else "B") + token[-8:]
    file.write_text(f"{forged if break_it else token}\n")
    jwks.write_text(JWKS)
    monkeypatch.setattr("sys.argv", ["identity", "verify-certificate", str(file), "--keys", str(jwks)])
    with pytest.raises(SystemExit) as ended:
        run_alone()
    shown = capsys.readouterr()
    assert ended.value.code == status
    assert said in shown.out + shown.err
    assert (certificate_digest(token) in shown.out) is not break_it


def keys_of(*providers: str) -> dict[str, Any]:
    issuer = CertificateIssuer(
        KEYS,
        issuer="https://irisvue.example",
        subject_key=bytes(32),
        backups=BackupTerms(timedelta(days=30), timedelta(days=7)),
    )
    digest = erasure_digest(ERASURE, "storage", COUNTS)
    erasure = VerifiedErasure(
        erasure_id=ERASURE,
        user_id=UUID(int=1),
        deadline=NOW,
        completed_at=NOW,
        steps=[StepTaken(Step.COMPLETED, NOW)],
        reports=[Report("storage", NOW, COUNTS, digest, [], list(providers) or None)],
    )
    token = issuer.issue(erasure, now=NOW).token
    return dict(verify_certificate(token, JWKS)["keys"])


@pytest.mark.parametrize(
    ("provider", "place"),
    [("file", "settings of the service"), ("aws-kms", "AWS KMS"), ("vault-transit", "engine of Vault")],
)
def test_each_key_provider_has_its_own_words_for_what_stays_readable_until_when(provider, place) -> None:
    keys = keys_of(provider)
    assert (keys["provider"], keys["until"], keys["also"]) == (provider, "2026-12-04T18:00:00.000Z", [])
    assert place in keys["erasure"]
    assert "until the backup is deleted" in keys["readable"]


def test_keys_of_a_release_that_named_no_provider_were_in_a_file() -> None:
    assert keys_of() == keys_of("file")


def test_a_provider_of_a_later_release_is_named_and_nothing_is_claimed_of_it() -> None:
    keys = keys_of("cloud-of-tomorrow", "file")
    assert keys["provider"] == "cloud-of-tomorrow"
    assert "Nothing more is known" in keys["readable"]
    assert [it["provider"] for it in keys["also"]] == ["file"]


def test_the_pages_say_it_all_and_read_what_an_earlier_release_has_signed() -> None:
    claims = read_certificate(issued())
    said = dict(lines_of(claims))["Keys (file)"]
    assert said == [
        claims["keys"]["erasure"],
        claims["keys"]["readable"],
        f"At the latest that ends {NOW_7}.",
    ]
    claims["keys"] = {"provider": "file", "erasure": "It was deleted."}
    assert dict(lines_of(claims))["Keys (file)"] == ["It was deleted."]


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({}, "completed", "completed 2026-11-27"),
        (
            {"retired": [Retirement("rendering", NOW, "gone")]},
            "completed_without_retired",
            "WITHOUT rendering",
        ),
        ({"completed_at": None, "partial_at": NOW}, "partial", "PARTIAL"),
    ],
)
def test_a_lesser_certificate_is_called_what_it_is(
    tmp_path, capsys, monkeypatch, changes, status, said
) -> None:
    token, file, jwks = issued(**changes), tmp_path / "certificate.jwt", tmp_path / "keys.json"
    claims = verify_certificate(token, JWKS)
    assert claims["status"] == status
    assert (title_of(claims) == "Certificate of erasure") is (status == "completed")
    file.write_text(token)
    jwks.write_text(JWKS)
    monkeypatch.setattr("sys.argv", ["identity", "verify-certificate", str(file), "--keys", str(jwks)])
    with pytest.raises(SystemExit) as ended:
        run_alone()
    assert (ended.value.code, said in capsys.readouterr().out) == (0, True)


def test_a_certificate_of_before_that_names_a_retired_service_is_not_called_a_whole_one() -> None:
    claims = verify_certificate(issued(retired=[Retirement("rendering", NOW, "gone")]), JWKS)
    assert title_of({**claims, "status": "completed"}) == "Certificate of erasure without every service"


def test_a_key_that_is_held_is_not_called_deleted() -> None:
    held = Report(
        "storage",
        NOW,
        COUNTS,
        erasure_digest(ERASURE, "storage", COUNTS),
        [],
        ["aws-kms"],
        {"photos": 1, "data_keys": 1},
    )
    keys = verify_certificate(issued(completed_at=None, partial_at=NOW, reports=[held]), JWKS)["keys"]
    assert (keys["provider"], keys["held"]) == ("aws-kms", True)
    assert "is kept" in keys["erasure"]
    assert "deleted from" not in keys["erasure"]
    assert verify_certificate(issued(), JWKS)["keys"]["held"] is False

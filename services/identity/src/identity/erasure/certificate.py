"""The certificate of an erasure: what it says, how it is signed, and how anybody checks it; no database.

A compact JWS (RFC 7515 §3.1) under ES256 with a `typ` of its own. It names the person by a keyed hash: who
holds the key and the person's old id can tell that it is about them, and nobody else.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jwt

from chassis.auth import ALGORITHM
from chassis.faults import TransientFault
from chassis.ids import new_id
from chassis.sealing import key_id
from chassis.signing_keys import SigningKeys, ec_keys_in
from contracts.key_providers import key_terms
from contracts.participation import erasure_digest
from identity.erasure.policy import (
    BackupTerms,
    HoldTerms,
    Outcome,
    Report,
    Retirement,
    StepTaken,
    outcome_of,
)

CERTIFICATE_TYPE = "erasure-certificate+jwt"
SUBJECT_PURPOSE = "subjects of erasure certificates"
KEYS = "data_keys"
"""The kind under which participants count the keys that open what they keep sealed."""
_KEPT = (
    "The person's data key is kept in the keyring, because what it opens is held; it is deleted with that."
)


class KeysNotLoaded(TransientFault):
    """This process does not know yet which key signs."""


class InvalidCertificate(ValueError):
    """This does not show what a certificate shows; the message says what fails."""


@dataclass(frozen=True, kw_only=True)
class VerifiedErasure:
    """An erasure of which every participant has looked again and found nothing, but the retired ones.

    Without `completed_at` it is partial: then `partial_at` is since when nothing is left but what is held.
    """

    erasure_id: UUID
    user_id: UUID
    deadline: datetime
    completed_at: datetime | None
    steps: Sequence[StepTaken]
    reports: Sequence[Report]
    retired: Sequence[Retirement] = ()
    holds: Sequence[HoldTerms] = ()
    partial_at: datetime | None = None
    supersedes: str | None = None

    @property
    def looked_at(self) -> datetime:
        """When it was known that nothing is left, or nothing but what is held."""
        at = self.completed_at or self.partial_at
        if at is None:
            raise ValueError("nobody has looked again yet")
        return at

    @property
    def outcome(self) -> Outcome:
        """What the certificate certifies, in one word."""
        return outcome_of(complete=self.completed_at is not None, retired=bool(self.retired))


@dataclass(frozen=True)
class SignedCertificate:
    """A certificate, its SHA-256 in hex, and the public key (JWK) that checks it."""

    token: str
    digest: str
    public_jwk: dict[str, Any]


class CertificateIssuer:
    """Signs certificates with the key that signs access tokens at that moment."""

    def __init__(self, keys: SigningKeys, *, issuer: str, subject_key: bytes, backups: BackupTerms) -> None:
        self._keys = keys
        self._issuer = issuer
        self._subject_key = subject_key
        self._backups = backups

    def issue(self, erasure: VerifiedErasure, *, now: datetime) -> SignedCertificate:
        """Sign what is known of an erasure; raises `KeysNotLoaded`."""
        if not self._keys.loaded:
            raise KeysNotLoaded
        key = self._keys.signing(now)
        token = jwt.encode(
            self._claims(erasure, now=now),
            key.private_key,
            ALGORITHM,
            {"typ": CERTIFICATE_TYPE, "kid": key.kid},
        )
        return SignedCertificate(token, certificate_digest(token), key.public_jwk)

    def subject(self, user_id: UUID) -> str:
        """Return the name of a person in certificates: HMAC-SHA-256 of the id's 16 bytes, in hex."""
        return hmac.new(self._subject_key, user_id.bytes, hashlib.sha256).hexdigest()

    def _claims(self, erasure: VerifiedErasure, *, now: datetime) -> dict[str, Any]:
        looked_at = erasure.looked_at
        return {
            "iss": self._issuer,
            "jti": str(new_id()),
            "iat": int(now.timestamp()),
            "sub": self.subject(erasure.user_id),
            "sub_key": key_id(self._subject_key).hex(),
            "erasure_id": str(erasure.erasure_id),
            "status": erasure.outcome.value,
            "regimes": sorted({code for it in erasure.reports for code in it.regimes or ()}),
            "deadline": _moment(erasure.deadline),
            "completed_at": None if erasure.completed_at is None else _moment(erasure.completed_at),
            "supersedes": erasure.supersedes,
            "steps": [{"step": it.step.value, "at": _moment(it.at)} for it in erasure.steps],
            "participants": [
                {
                    "service": it.service,
                    "completed_at": _moment(it.completed_at),
                    "erased": it.erased,
                    "digest": it.digest,
                    "held": it.held or {},
                }
                for it in erasure.reports
            ],
            "retired": [
                {"service": it.service, "retired_at": _moment(it.retired_at), "reason": it.reason}
                for it in erasure.retired
            ],
            "holds": [_hold(it, ended_by=erasure.completed_at) for it in erasure.holds],
            "keys": _keys(erasure.reports, until=_moment(looked_at + self._backups.keyring)),
            "backups": {
                "rows_until": _moment(looked_at + self._backups.data),
                "ciphertext_until": _moment(looked_at + self._backups.data),
                "wrapped_keys_until": _moment(looked_at + self._backups.keyring),
            },
        }


def _keys(reports: Sequence[Report], *, until: str) -> dict[str, Any]:
    """Say what the deletion of the data key means where it was wrapped, and where it may have been before.

    While the key is held, it was not deleted.
    """
    held = any((it.held or {}).get(KEYS) for it in reports)
    first, *others = (
        {**asdict(terms), **({"erasure": _KEPT} if held else {}), "until": until}
        for terms in key_terms(provider for it in reports for provider in it.key_providers or ())
    )
    return {**first, "held": held, "also": others}


def _hold(hold: HoldTerms, *, ended_by: datetime | None) -> dict[str, Any]:
    """Return a hold as a certificate has it; one that kept nothing ended with the erasure."""
    ended_at = hold.ended_at or ended_by
    return {
        "hold_id": str(hold.hold_id),
        "service": hold.service,
        "kind": hold.kind,
        "code": hold.code,
        "legal_reference": hold.legal_reference,
        "approver": hold.approver,
        "placed_at": _moment(hold.placed_at),
        "expires_at": _moment(hold.expires_at),
        "ended_at": None if ended_at is None else _moment(ended_at),
    }


def certificate_digest(token: str) -> str:
    """Return the SHA-256, in hex, of a certificate's letters: what stands in the log of consents."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_certificate(token: str) -> dict[str, Any]:
    """Return the claims of one of our own, which is not checked again."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def verify_certificate(token: str, jwks: str) -> dict[str, Any]:
    """Check a certificate against the JWKS document that the gateway publishes; return its claims.

    Raises `InvalidCertificate`, and ValueError for a document that is no JWKS.
    """
    keys = ec_keys_in(jwks)
    try:
        header = jwt.get_unverified_header(token)
        if header.get("typ") != CERTIFICATE_TYPE:
            raise InvalidCertificate(f"it is none: its type is not {CERTIFICATE_TYPE}")
        key = keys.get(str(header.get("kid")))
        if key is None:
            raise InvalidCertificate("none of these keys has signed it")
        # It is kept for years: it has no end, nothing is asked of its issuer but the key, and the clock of
        # whoever checks it may be wrong.
        claims: dict[str, Any] = jwt.decode(
            token, key, [ALGORITHM], options={"verify_aud": False, "verify_iat": False}
        )
    except jwt.PyJWTError as error:
        raise InvalidCertificate(f"its signature does not hold ({type(error).__name__})") from error
    _check_reports(claims)
    return claims


def _check_reports(claims: dict[str, Any]) -> None:
    try:
        reports = [(it["service"], it["erased"], it["digest"]) for it in claims["participants"]]
        erasure_id, _ = UUID(claims["erasure_id"]), claims["completed_at"]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidCertificate("its claims are not those of a certificate") from error
    for service, erased, digest in reports:
        if digest != erasure_digest(erasure_id, service, erased):
            raise InvalidCertificate(f"the digest of {service} is not that of its counts")


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

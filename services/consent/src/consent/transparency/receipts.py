"""Checks a consent receipt with nothing but published keys: signature, commitment, leaf, checkpoint."""

import json
from dataclasses import dataclass
from typing import Any

import jwt
from pydantic import ValidationError

from chassis.auth import ALGORITHM
from chassis.signing_keys import ec_keys_in
from consent.transparency.checkpoint import Checkpoint
from consent.transparency.leaf_proof import LeafProof, UnprovenLeaf
from consent.transparency.leaves import commitment_to

RECEIPT_TYPE = "consent-receipt+jwt"


class InvalidReceipt(ValueError):
    """The receipt does not show what a receipt shows; the message says what fails."""


class LogProof(LeafProof):
    """How a receipt shows that its entry is in the log, its claim `log`.

    `salt`, in hex, and `committed` open the commitment that stands in the leaf.
    """

    salt: str
    committed: dict[str, str | None]


@dataclass(frozen=True)
class VerifiedReceipt:
    """What a receipt that holds shows: its claims, its leaf, and where the leaf stands in which tree."""

    claims: dict[str, Any]
    leaf: dict[str, Any]
    leaf_index: int
    checkpoint: Checkpoint


def verify_receipt(receipt: str, jwks: str) -> VerifiedReceipt:
    """Check a receipt, a compact JWS, against the JWKS document that the gateway publishes.

    Raises `InvalidReceipt`, and ValueError for a document that is no JWKS.
    """
    claims = _signed_claims(receipt.strip(), jwks)
    try:
        log = LogProof.model_validate(claims.get("log"))
        leaf = json.loads(log.leaf)
        opened = commitment_to(log.committed, bytes.fromhex(log.salt))
    except (ValidationError, ValueError, TypeError) as error:
        raise InvalidReceipt("its claim `log` is not what shows an entry in the log") from error
    if not isinstance(leaf, dict) or opened != leaf.get("commitment"):
        raise InvalidReceipt("its leaf is no commitment to the person that it names")
    try:
        checkpoint = log.verify(jwks)
    except UnprovenLeaf as error:
        raise InvalidReceipt(str(error)) from error
    return VerifiedReceipt(claims, leaf, log.leaf_index, checkpoint)


def _signed_claims(receipt: str, jwks: str) -> dict[str, Any]:
    keys = ec_keys_in(jwks)
    try:
        header = jwt.get_unverified_header(receipt)
        if header.get("typ") != RECEIPT_TYPE:
            raise InvalidReceipt(f"it is no receipt: its type is not {RECEIPT_TYPE}")
        key = keys.get(str(header.get("kid")))
        if key is None:
            raise InvalidReceipt("none of these keys has signed it")
        # A receipt is kept for years: it has no end, and nothing is asked of its issuer but the key.
        claims: dict[str, Any] = jwt.decode(receipt, key, [ALGORITHM], options={"verify_aud": False})
    except jwt.PyJWTError as error:
        raise InvalidReceipt(f"its signature does not hold ({type(error).__name__})") from error
    return claims

"""Checks that the digest of a document stands in the log, with nothing but published keys."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from consent.transparency.checkpoint import Checkpoint
from consent.transparency.leaf_proof import LeafProof, UnprovenLeaf
from consent.transparency.leaves import anchor_leaf


@dataclass(frozen=True)
class VerifiedAnchor:
    """Since when a document's digest is in the log, and where it stands in which tree."""

    kind: str
    anchored_at: str
    leaf_index: int
    checkpoint: Checkpoint


def verify_anchor(document: str, proof: str, jwks: str) -> VerifiedAnchor:
    """Check a proof as `GET /privacy/ledger/anchors/{digest}` gives it, for the letters of a document.

    Raises `UnprovenLeaf`, and ValueError for keys that are no JWKS.
    """
    digest = hashlib.sha256(document.encode()).hexdigest()
    try:
        shown = LeafProof.model_validate_json(proof)
        leaf = json.loads(shown.leaf)
        kind, anchored_at = leaf["kind"], leaf["anchored_at"]
        expected = anchor_leaf(kind, digest, datetime.fromisoformat(anchored_at))
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise UnprovenLeaf("this is no proof that a digest is in the log") from error
    if shown.leaf.encode() != expected:
        raise UnprovenLeaf("its leaf is that of another document")
    return VerifiedAnchor(kind, anchored_at, shown.leaf_index, shown.verify(jwks))

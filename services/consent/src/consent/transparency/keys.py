"""The keys of the log: Ed25519 for its checkpoints as notes, ES256 for them as JSON and for receipts."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from chassis.auth import ALGORITHM
from chassis.signing_keys import keys_in, public_jwk
from consent.transparency.checkpoint import Checkpoint
from consent.transparency.note import Note, Signer, Verifier

CHECKPOINT_TYPE = "consent-checkpoint+jwt"


class LogKeys:
    """What signs, and every public key that has signed since the log began."""

    def __init__(
        self,
        origin: str,
        seeds: Sequence[bytes],
        private_key: EllipticCurvePrivateKey,
        *,
        issuer: str,
        retired: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Take the seeds of Ed25519 keys, of which the first signs, and retired ES256 keys by any name."""
        signers = [Signer(origin, seed) for seed in seeds]
        self.origin = origin
        self._issuer = issuer
        self._signer = signers[0]
        self.verifiers = tuple(signer.verifier for signer in signers)
        self._private_key = private_key
        self._public = public_jwk(private_key)
        self._retired = [dict(jwk) for jwk in (retired or {}).values()]

    @property
    def published(self) -> list[dict[str, Any]]:
        """The public keys as JWK (RFC 7517 §4, RFC 8037 §2); the `kid` of an Ed25519 key is its vkey."""
        return [self._public, *self._retired, *(log_jwk(verifier) for verifier in self.verifiers)]

    def sign(self, claims: Mapping[str, Any], *, token_type: str) -> str:
        """Return a compact JWS (RFC 7515 §3.1) of claims, whose `typ` is for one purpose alone."""
        if not token_type.startswith("consent-"):
            raise ValueError("what consent signs has a type of its own: nobody may take it for a token")
        headers = {"typ": token_type, "kid": self._public["kid"]}
        return jwt.encode({"iss": self._issuer, **claims}, self._private_key, ALGORITHM, headers)

    def sign_note(self, checkpoint: Checkpoint) -> Note:
        """Return a checkpoint as a signed note."""
        return Note(checkpoint.text, (self._signer.sign(checkpoint.text),))

    def sign_checkpoint(self, checkpoint: Checkpoint, *, sealed_at: datetime) -> str:
        """Return a checkpoint as a compact JWS."""
        claims = {
            "iat": int(sealed_at.timestamp()),
            "origin": checkpoint.origin,
            "tree_size": checkpoint.size,
            "root_hash": base64.b64encode(checkpoint.root).decode(),
        }
        return self.sign(claims, token_type=CHECKPOINT_TYPE)


def log_jwk(verifier: Verifier) -> dict[str, Any]:
    """Return the key of a log as JWK."""
    x = base64.urlsafe_b64encode(verifier.public_key).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": str(verifier), "alg": "EdDSA", "use": "sig"}


def verifiers_in(jwks: str) -> list[Verifier]:
    """Return the keys of logs in a JWKS document, as `/.well-known/jwks.json` gives it; raises ValueError."""
    named = (key.get("kid") for key in keys_in(jwks) if key.get("crv") == "Ed25519")
    return [Verifier.parse(kid) for kid in named if isinstance(kid, str)]

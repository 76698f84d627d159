"""Keys and tokens, made by hand so that they can be spoiled in every way."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm

from chassis.ids import new_id

ISSUER = "https://irisvue.example"
AUDIENCE = "irisvue-api"


def encoded(part: bytes | dict[str, Any]) -> str:
    if isinstance(part, dict):
        part = json.dumps(part).encode()
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


class Key:
    """An EC P-256 key and what it signs."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self.jwk: dict[str, Any] = {**ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True), "kid": kid}

    def sign(self, header: bytes | dict[str, Any], claims: bytes | dict[str, Any]) -> str:
        """Return a token whose signature is right, whatever it says."""
        signed = f"{encoded(header)}.{encoded(claims)}"
        signature = self.private.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(signature)
        return f"{signed}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    @property
    def header(self) -> dict[str, Any]:
        return {"alg": "ES256", "typ": "at+jwt", "kid": self.kid}


def good_claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(new_id()),
        "sid": str(new_id()),
        "jti": str(new_id()),
        "iat": now,
        "exp": now + 600,
        "auth_time": now,
        **changed,
    }
    return {name: value for name, value in good.items() if value is not None}


@pytest.fixture
def key() -> Key:
    return Key("key-1")


@pytest.fixture
def another_key() -> Key:
    return Key("key-2")


@pytest.fixture
def claims() -> Callable[..., dict[str, Any]]:
    """Return a function that makes the claims of a good access token; a change to None takes a claim away."""
    return good_claims


@pytest.fixture
def make_key() -> type[Key]:
    """Return what makes a key of a given name."""
    return Key

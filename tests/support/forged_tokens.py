"""Access tokens that no verifier may accept: most are signed with the very key that it trusts."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from httpx2 import AsyncClient
from jwt.algorithms import ECAlgorithm

from chassis.auth import AccessTokens, KeySet
from chassis.ids import new_id
from chassis.settings import ServiceSettings

Part = bytes | Mapping[str, Any]
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of the group of P-256 (SEC 2 §2.4.2)."""


class TokenForge:
    """Signs whatever it is told to; a verifier that trusts its key must look at everything else."""

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        private: ec.EllipticCurvePrivateKey | None = None,
        kid: str = "forge",
        **claims: Any,
    ) -> None:
        """`claims` are those of every token, such as the `sub` and `sid` of somebody who exists."""
        self.private = private or ec.generate_private_key(ec.SECP256R1())
        self.kid = kid
        self._claims = {"iss": issuer, "aud": audience, **claims}

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half of the key."""
        return {**ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True), "kid": self.kid}

    @property
    def header(self) -> dict[str, Any]:
        """The header of a good token."""
        return {"alg": "ES256", "typ": "at+jwt", "kid": self.kid}

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return good claims with some changed: None takes one away, a timedelta is a time from now."""
        now = int(time.time())
        ids = {name: str(new_id()) for name in ("sub", "sid", "jti")}
        claims = {**ids, "iat": now, "exp": now + 600, "auth_time": now, **self._claims, **changed}
        return {
            name: now + int(value.total_seconds()) if isinstance(value, timedelta) else value
            for name, value in claims.items()
            if value is not None
        }

    def sign(self, header: Part, claims: Part) -> str:
        """Return a token whose signature is right, whatever it says."""
        signed = f"{segment(header)}.{segment(claims)}"
        r, s = decode_dss_signature(self.private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_signature(r, s)}"

    def good(self, **changed: Any) -> str:
        """Return a token that is accepted, unless a change spoils it."""
        return self.sign(self.header, self.claims(**changed))


def segment(part: Part) -> str:
    """Return one part of a token (RFC 7515 §2)."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signature(r: int, s: int) -> str:
    return segment(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


_HEADERS: dict[str, dict[str, Any]] = {
    "algorithm none": {"alg": "none"},
    "algorithm None": {"alg": "None"},
    "algorithm in small letters": {"alg": "es256"},
    "another curve": {"alg": "ES384"},
    "a number as algorithm": {"alg": 256},
    "no algorithm": {"alg": None},
    "typ of an ID token": {"typ": "JWT"},
    "typ of a service token": {"typ": "svc+jwt"},
    "no typ": {"typ": None},
    "unknown kid": {"kid": "no-such-key"},
    "no kid": {"kid": None},
    "path as kid": {"kid": "../../etc/passwd"},
    "SQL as kid": {"kid": "' OR 1=1 --"},
    "empty kid": {"kid": ""},
    "number as kid": {"kid": 1},
    "list as kid": {"kid": ["key-1"]},
    "jku": {"jku": "https://evil.example/keys"},
    "jwk": {"jwk": {"kty": "EC"}},
    "x5u": {"x5u": "https://evil.example/cert"},
    "x5c": {"x5c": ["MIIB"]},
    "crit": {"crit": ["exp"], "exp": 2**40},
    "b64": {"b64": False, "crit": ["b64"]},
    "b64 true": {"b64": True},
    "zip": {"zip": "DEF"},
    "cty": {"cty": "JWT"},
}
_CLAIMS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "a list of issuers": {"iss": ["https://evil.example"]},
    "another audience": {"aud": "irisvue-admin"},
    "a list without our audience": {"aud": ["irisvue-admin", "other"]},
    "expired": {"exp": timedelta(minutes=-1)},
    "expiry that is no number": {"exp": "tomorrow"},
    "endless expiry": {"exp": float("inf")},
    "expiry that is not a number": {"exp": float("nan")},
    "issued in the future": {"iat": timedelta(minutes=10)},
    "not valid yet": {"nbf": timedelta(minutes=10)},
    "subject that is no id": {"sub": "ada@example.org"},
    "subject that is a number": {"sub": 7},
    "session that is no id": {"sid": "../1"},
    "auth_time that is no time": {"auth_time": "yesterday"},
    "auth_time beyond all calendars": {"auth_time": 10**18},
    **{f"no {name}": {name: None} for name in ("iss", "aud", "sub", "sid", "jti", "iat", "exp", "auth_time")},
}


def _unsigned(forge: TokenForge, header: Part, signature: bytes = b"") -> str:
    return f"{segment(header)}.{segment(forge.claims())}.{segment(signature)}"


def _with_signature(forge: TokenForge, r: int, s: int) -> str:
    return f"{segment(forge.header)}.{segment(forge.claims())}.{_signature(r, s)}"


def _hmac_signed(forge: TokenForge, secret: bytes) -> str:
    signed = f"{segment({**forge.header, 'alg': 'HS256'})}.{segment(forge.claims())}"
    return f"{signed}.{segment(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def _public_pem(forge: TokenForge) -> bytes:
    return forge.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _with_a_claim_twice(forge: TokenForge) -> str:
    text = json.dumps(forge.claims())
    return forge.sign(forge.header, text.replace("{", f'{{"sub": "{new_id()}", ', 1).encode())


def _with_a_header_twice(forge: TokenForge) -> str:
    text = json.dumps(forge.header)
    return forge.sign(text.replace("{", '{"alg": "none", ', 1).encode(), forge.claims())


def _of_somebody_else(forge: TokenForge) -> str:
    header, _, signature = forge.good().split(".")
    return f"{header}.{segment(forge.claims(sub=str(new_id())))}.{signature}"


def _signature_flipped(forge: TokenForge) -> str:
    head, signature = forge.good().rsplit(".", 1)
    return f"{head}.{('B' if signature[0] == 'A' else 'A') + signature[1:]}"


def _spelled_otherwise(forge: TokenForge) -> str:
    # 64 bytes fill 85 letters and a third of the last one, whose other bits say nothing.
    token = forge.good()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + letters[letters.index(token[-1]) + 1]


def _signature_in_der(forge: TokenForge) -> str:
    signed = f"{segment(forge.header)}.{segment(forge.claims())}"
    return f"{signed}.{segment(forge.private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))}"


def _signed_with_rsa(forge: TokenForge) -> str:
    private = rsa.generate_private_key(65537, 2048)
    return jwt.encode(forge.claims(), private, "RS256", headers={"typ": "at+jwt", "kid": forge.kid})


def _by_a_stranger(forge: TokenForge, **header: Any) -> str:
    stranger = TokenForge(issuer="", audience="", kid=forge.kid)
    return stranger.sign({**forge.header, **header}, forge.claims())


def _as_json(forge: TokenForge) -> str:
    protected, payload, signature = forge.good().split(".")
    return json.dumps({"protected": protected, "payload": payload, "signature": signature})


FORGED: dict[str, Callable[[TokenForge], str]] = {
    **{
        name: lambda forge, changed=changed: forge.sign(  # type: ignore[misc]
            {key: value for key, value in {**forge.header, **changed}.items() if value is not None},
            forge.claims(),
        )
        for name, changed in _HEADERS.items()
    },
    **{
        name: lambda forge, changed=changed: forge.good(**changed)  # type: ignore[misc]
        for name, changed in _CLAIMS.items()
    },
    "no signature": lambda forge: _unsigned(forge, forge.header),
    "none without a signature": lambda forge: _unsigned(forge, {**forge.header, "alg": "none"}),
    "r and s are zero": lambda forge: _with_signature(forge, 0, 0),
    "r is zero": lambda forge: _with_signature(forge, 0, 1),
    "r and s are the order of the curve": lambda forge: _with_signature(forge, _ORDER, _ORDER),
    "half a signature": lambda forge: _unsigned(forge, forge.header, bytes(32)),
    "flipped signature": _signature_flipped,
    "signature in DER": _signature_in_der,
    "claims of somebody else": _of_somebody_else,
    "HMAC with the public key": lambda forge: _hmac_signed(forge, _public_pem(forge)),
    "HMAC with the JWK": lambda forge: _hmac_signed(forge, json.dumps(forge.jwk).encode()),
    "HMAC with nothing": lambda forge: _hmac_signed(forge, b""),
    "RSA": _signed_with_rsa,
    "a stranger's key under our name": _by_a_stranger,
    "a stranger's key in the header": lambda forge: _by_a_stranger(forge, jwk=forge.jwk),
    "a claim twice": _with_a_claim_twice,
    "a header twice": _with_a_header_twice,
    "claims that are a list": lambda forge: forge.sign(forge.header, b"[1]"),
    "claims that are no JSON": lambda forge: forge.sign(forge.header, b"{"),
    "claims that are no text": lambda forge: forge.sign(forge.header, b"\xff\xfe"),
    "claims nested without end": lambda forge: forge.sign(forge.header, b"[" * 2500),
    "header nested without end": lambda forge: forge.sign(b"[" * 2500, forge.claims()),
    "header that is a list": lambda forge: forge.sign(b"[]", forge.claims()),
    "number without end": lambda forge: forge.sign(forge.header, b'{"exp": ' + b"9" * 2000 + b"}"),
    "truncated": lambda forge: forge.good()[:-10],
    "two parts": lambda forge: forge.good().rsplit(".", 1)[0],
    "four parts": lambda forge: forge.good() + ".e30",
    "doubled": lambda forge: f"{forge.good()}.{forge.good()}",
    "encrypted form": lambda forge: "e30.e30.e30.e30.e30",
    "JSON instead of the compact form": _as_json,
    "oversize": lambda forge: forge.good(extra="x" * 4000),
    "padding": lambda forge: forge.good() + "==",
    "characters that base64 skips": lambda forge: forge.good() + "!!!",
    "characters that base64 skips inside": lambda forge: forge.good().replace(".", "****.", 1),
    "signature in another spelling": _spelled_otherwise,
    "umlaut": lambda forge: forge.good() + "ä",
    "lone surrogate": lambda forge: forge.good() + "\udc80",
    "dots": lambda forge: "..",
}
"""What makes each token, by what is wrong with it."""


def forged_bearers(forge: TokenForge) -> Iterator[tuple[str, bytes]]:
    """Yield what is wrong with each token, and the `Authorization` header that carries it."""
    for wrong, make in FORGED.items():
        yield wrong, b"Bearer " + make(forge).encode(errors="surrogateescape")


async def statuses_of_forged_tokens(
    app: FastAPI, client: AsyncClient, settings: ServiceSettings, path: str
) -> dict[str, int]:
    """Return how an API answers each forged token, and under "good" how it answers the one that is not.

    From then on the API trusts the forge's key.
    """
    issuer, audience = settings.access_token_issuer, settings.access_token_audience
    forge = TokenForge(issuer=issuer, audience=audience)

    async def keys() -> dict[str, Any]:
        return {"keys": [forge.jwk]}

    app.state.access_tokens = AccessTokens(KeySet(keys), issuer=issuer, audience=audience)
    bearers = {"good": b"Bearer " + forge.good().encode(), **dict(forged_bearers(forge))}
    return {
        name: (await client.get(path, headers={b"Authorization": bearer})).status_code
        for name, bearer in bearers.items()
    }

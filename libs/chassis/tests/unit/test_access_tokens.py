import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chassis.auth import AccessTokens, KeySet
from chassis.ids import new_id
from chassis.problems import Unauthorized

ISSUER = "https://irisvue.example"
AUDIENCE = "irisvue-api"


@pytest.fixture
def tokens(key):
    async def published():
        return {"keys": [key.jwk]}

    return AccessTokens(KeySet(published), issuer=ISSUER, audience=AUDIENCE)


async def test_good_token_says_who_calls_and_since_when(tokens, key, claims):
    said = claims()
    principal = await tokens.verify(key.sign(key.header, said))
    assert str(principal.user_id) == said["sub"]
    assert str(principal.session_id) == said["sid"]
    assert principal.token_id == said["jti"]
    assert principal.expires_at == datetime.fromtimestamp(said["exp"], UTC)
    assert principal.authenticated_at == datetime.fromtimestamp(said["auth_time"], UTC)
    assert principal.issued_at == datetime.fromtimestamp(said["iat"], UTC)


async def test_clocks_may_differ_by_half_a_minute(tokens, key, claims):
    await tokens.verify(key.sign(key.header, claims(exp=int(time.time()) - 20)))
    await tokens.verify(key.sign(key.header, claims(iat=int(time.time()) + 20)))


def segment(part):
    return base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode()).rstrip(
        b"="
    )


def unsigned(header, claims, signature=b""):
    return b".".join([segment(header), segment(claims), segment(signature)]).decode()


def hmac_signed(key, claims, secret):
    signed = segment({**key.header, "alg": "HS256"}) + b"." + segment(claims)
    return (signed + b"." + segment(hmac.digest(secret, signed, hashlib.sha256))).decode()


def public_pem(key):
    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def foreign_jwk(key):
    return {name: value for name, value in key.jwk.items() if name != "kid"}


NOW = int(time.time())
HEADERS = {
    "algorithm none": {"alg": "none"},
    "algorithm None": {"alg": "None"},
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
    "crit": {"crit": ["exp"], "exp": NOW + 600},
    "b64": {"b64": False, "crit": ["b64"]},
    "b64 true": {"b64": True},
    "zip": {"zip": "DEF"},
    "cty": {"cty": "JWT"},
}
CLAIMS = {
    "another issuer": {"iss": "https://evil.example"},
    "another audience": {"aud": "irisvue-admin"},
    "a list without our audience": {"aud": ["irisvue-admin", "other"]},
    "expired": {"exp": NOW - 60},
    "expiry that is no number": {"exp": "tomorrow"},
    "endless expiry": {"exp": float("inf")},
    "expiry that is not a number": {"exp": float("nan")},
    "issued in the future": {"iat": NOW + 600},
    "not valid yet": {"nbf": NOW + 600},
    "subject that is no id": {"sub": "ada@example.org"},
    "subject that is a number": {"sub": 7},
    "session that is no id": {"sid": "../1"},
    "auth_time that is no time": {"auth_time": "yesterday"},
    "auth_time beyond all calendars": {"auth_time": 10**18},
    **{f"no {name}": {name: None} for name in ("iss", "aud", "sub", "sid", "jti", "iat", "exp", "auth_time")},
}


@pytest.mark.parametrize("changed", HEADERS.values(), ids=HEADERS)
async def test_well_signed_token_with_another_header_is_refused(changed, tokens, key, claims):
    header = {name: value for name, value in {**key.header, **changed}.items() if value is not None}
    with pytest.raises(Unauthorized):
        await tokens.verify(key.sign(header, claims()))


@pytest.mark.parametrize("changed", CLAIMS.values(), ids=CLAIMS)
async def test_well_signed_token_with_other_claims_is_refused(changed, tokens, key, claims):
    with pytest.raises(Unauthorized):
        await tokens.verify(key.sign(key.header, claims(**changed)))


def with_the_claim_twice(key, claims):
    text = json.dumps(claims())
    return key.sign(key.header, text.replace("{", f'{{"sub": "{new_id()}", ', 1).encode())


def with_the_header_twice(key, claims):
    text = json.dumps(key.header)
    return key.sign(text.replace("{", '{"alg": "none", ', 1).encode(), claims())


def of_somebody_else(key, claims):
    header, _, signature = key.sign(key.header, claims()).split(".")
    return f"{header}.{segment(claims()).decode()}.{signature}"


def with_a_zero_signature(key, claims):
    return unsigned(key.header, claims(), bytes(64))


def signature_flipped(key, claims):
    token = key.sign(key.header, claims())
    head, signature = token.rsplit(".", 1)
    return f"{head}.{('B' if signature[0] == 'A' else 'A') + signature[1:]}"


def signature_in_der(key, claims):
    signed = segment(key.header) + b"." + segment(claims())
    return (signed + b"." + segment(key.private.sign(signed, ec.ECDSA(hashes.SHA256())))).decode()


def signed_with_rsa(key, claims):
    private = rsa.generate_private_key(65537, 2048)
    return jwt.encode(claims(), private, "RS256", headers={"typ": "at+jwt", "kid": key.kid})


SPOILED = {
    "no signature": lambda key, claims: unsigned(key.header, claims()),
    "none without a signature": lambda key, claims: unsigned({**key.header, "alg": "none"}, claims()),
    "zero signature": with_a_zero_signature,
    "flipped signature": signature_flipped,
    "signature in DER": signature_in_der,
    "claims of somebody else": of_somebody_else,
    "HMAC with the public key": lambda key, claims: hmac_signed(key, claims(), public_pem(key)),
    "HMAC with the JWK": lambda key, claims: hmac_signed(key, claims(), json.dumps(key.jwk).encode()),
    "HMAC with nothing": lambda key, claims: hmac_signed(key, claims(), b""),
    "RSA": signed_with_rsa,
    "a claim twice": with_the_claim_twice,
    "a header twice": with_the_header_twice,
    "claims that are a list": lambda key, claims: key.sign(key.header, b"[1]"),
    "claims that are no JSON": lambda key, claims: key.sign(key.header, b"{"),
    "claims that are no text": lambda key, claims: key.sign(key.header, b"\xff\xfe"),
    "claims nested without end": lambda key, claims: key.sign(key.header, b"[" * 2500),
    "header nested without end": lambda key, claims: key.sign(b"[" * 2500, claims()),
    "header that is a list": lambda key, claims: key.sign(b"[]", claims()),
    "number without end": lambda key, claims: key.sign(key.header, b'{"exp": ' + b"9" * 2000 + b"}"),
    "truncated": lambda key, claims: key.sign(key.header, claims())[:-10],
    "two parts": lambda key, claims: key.sign(key.header, claims()).rsplit(".", 1)[0],
    "four parts": lambda key, claims: key.sign(key.header, claims()) + ".e30",
    "doubled": lambda key, claims: ".".join([key.sign(key.header, claims())] * 2),
    "encrypted form": lambda key, claims: "e30.e30.e30.e30.e30",
    "oversize": lambda key, claims: key.sign(key.header, claims(extra="x" * 4000)),
    "white space": lambda key, claims: " " + key.sign(key.header, claims()),
    "padding": lambda key, claims: key.sign(key.header, claims()) + "==",
    "umlaut": lambda key, claims: key.sign(key.header, claims()) + "ä",
    "lone surrogate": lambda key, claims: key.sign(key.header, claims()) + "\udc80",
    "empty": lambda key, claims: "",
    "dots": lambda key, claims: "..",
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
async def test_spoiled_token_is_refused(spoil, tokens, key, claims):
    with pytest.raises(Unauthorized):
        await tokens.verify(spoil(key, claims))


async def test_key_of_somebody_else_is_refused_under_our_name(tokens, key, another_key, claims):
    with pytest.raises(Unauthorized):
        await tokens.verify(another_key.sign(key.header, claims()))
    with pytest.raises(Unauthorized):
        await tokens.verify(another_key.sign({**key.header, "jwk": foreign_jwk(another_key)}, claims()))


async def test_refusal_says_nothing_about_its_reason(tokens, key, claims):
    expired = key.sign(key.header, claims(exp=NOW - 60))
    answers = set()
    for token in (expired, "rubbish"):
        with pytest.raises(Unauthorized) as refused:
            await tokens.verify(token)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__
        answers.add(str(refused.value.document()))
    assert len(answers) == 1

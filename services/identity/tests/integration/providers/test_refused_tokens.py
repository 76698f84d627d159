"""Tokens of Apple and Google that prove nothing (OIDC Core §3.1.3.7, RFC 8725)."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from identity.models import ProviderIdentity, User

NONCE = "a nonce of the app"


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(fake, header: dict, signature: bytes = b"", **changes) -> str:
    return f"{part(header)}.{part(fake.claims(**changes))}.{part(signature)}"


def hmac_with_public_key(fake) -> str:
    public = fake.keyring.rsa.private.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    text = f"{part({'alg': 'HS256', 'kid': 'rsa-1'})}.{part(fake.claims())}"
    return f"{text}.{part(hmac.new(public, text.encode(), hashlib.sha256).digest())}"


def altered(fake) -> str:
    header, _, signature = fake.token().split(".")
    return f"{header}.{part(fake.claims(sub='somebody else'))}.{signature}"


def general_json(fake) -> str:
    header, payload, signature = fake.token().split(".")
    return json.dumps({"payload": payload, "signatures": [{"protected": header, "signature": signature}]})


def misnamed(fake, kid: str) -> str:
    """Return a token that is sound but for the name of its key."""
    return fake.token(headers={"kid": kid})


def in_seconds(seconds: int) -> int:
    return int(time.time()) + seconds


CASES = {
    "expired": lambda fake: fake.token(exp=in_seconds(-61)),
    "issued in the future": lambda fake: fake.token(iat=in_seconds(3600)),
    "not yet good": lambda fake: fake.token(nbf=in_seconds(3600)),
    "no exp": lambda fake: fake.token(exp=...),
    "no iat": lambda fake: fake.token(iat=...),
    "no iss": lambda fake: fake.token(iss=...),
    "no aud": lambda fake: fake.token(aud=...),
    "no sub": lambda fake: fake.token(sub=...),
    "exp as text": lambda fake: fake.token(exp=str(in_seconds(600))),
    "exp is true": lambda fake: fake.token(exp=True),
    "exp is NaN": lambda fake: fake.token(exp=float("nan")),
    "exp is infinite": lambda fake: fake.token(exp=float("inf")),
    "iat beyond all calendars": lambda fake: fake.token(iat=-(10**30)),
    "audience of another app": lambda fake: fake.token(aud="org.example.other"),
    "audience beside another app": lambda fake: fake.token(aud=[fake.audience, "org.example.other"]),
    "no audience in the list": lambda fake: fake.token(aud=[]),
    "audience as an object": lambda fake: fake.token(aud={"aud": fake.audience}),
    "foreign issuer": lambda fake: fake.token(iss="https://issuer.example"),
    "issuer with a slash more": lambda fake: fake.token(iss=fake.issuer + "/"),
    "issuer with a longer name": lambda fake: fake.token(iss=fake.issuer + ".evil.example"),
    "issuer without encryption": lambda fake: fake.token(iss=fake.issuer.replace("https", "http")),
    "sub is a number": lambda fake: fake.token(sub=42),
    "sub is empty": lambda fake: fake.token(sub=""),
    "sub is too long": lambda fake: fake.token(sub="1" * 256),
    "sub with a zero byte": lambda fake: fake.token(sub="1\x002"),
    "sub with half a character": lambda fake: fake.token(sub="\ud800"),
    "sub beyond ASCII": lambda fake: fake.token(sub="ä"),
    "no algorithm": lambda fake: forged(fake, {"alg": "none", "kid": "rsa-1"}),
    "no algorithm, other case": lambda fake: forged(fake, {"alg": "NoNe", "kid": "rsa-1"}),
    "signature missing": lambda fake: forged(fake, {"alg": "RS256", "kid": "rsa-1"}),
    "HMAC with the public key": hmac_with_public_key,
    "RS256 key used as PS256": lambda fake: fake.token(algorithm="PS256"),
    "RS256 key used as RS512": lambda fake: fake.token(algorithm="RS512"),
    "EC key under an RSA algorithm": lambda fake: fake.token(key=fake.keyring.ec, headers={"alg": "RS256"}),
    "r and s are zero": lambda fake: forged(fake, {"alg": "ES256", "kid": "ec-1"}, bytes(64)),
    "signed by a stranger": lambda fake: fake.token(key=fake.keyring.strangers),
    "altered after signing": altered,
    "unknown key": lambda fake: misnamed(fake, "rsa-9"),
    "key name with a path": lambda fake: misnamed(fake, "../../../dev/null"),
    "key name with SQL": lambda fake: misnamed(fake, "rsa-1' OR '1'='1"),
    "key name is a number": lambda fake: forged(fake, {"alg": "RS256", "kid": 1}),
    "no key name": lambda fake: forged(fake, {"alg": "RS256"}),
    "key too weak": lambda fake: fake.token(key=fake.keyring.weak_rsa),
    "brings its own key": lambda fake: fake.token(headers={"jwk": fake.keyring.strangers.jwk}),
    "points at its own keys": lambda fake: fake.token(headers={"jku": "https://evil.example/keys"}),
    "points at its own certificate": lambda fake: fake.token(headers={"x5u": "https://evil.example/c"}),
    "rules nobody knows": lambda fake: fake.token(headers={"crit": ["exp"]}),
    "payload that is not encoded": lambda fake: fake.token(headers={"b64": False}),
    "an access token by its type": lambda fake: fake.token(headers={"typ": "at+jwt"}),
    "JSON instead of compact": general_json,
    "encrypted": lambda _: ".".join([part({"alg": "dir", "enc": "A256GCM"}), "", part(b"iv"), "x", "y"]),
    "no token at all": lambda _: "not a token",
    "empty": lambda _: "",
    "nonce that nobody sent": lambda fake: fake.token(nonce=NONCE),
    "empty nonce that nobody sent": lambda fake: fake.token(nonce=""),
}
NONCE_CASES = {
    "nonce was sent and is not in the token": ...,
    "other nonce": "another nonce",
    "nonce as it was sent, which anybody reads in the token": NONCE,
    "hash in capitals": hashlib.sha256(NONCE.encode()).hexdigest().upper(),
    "hash of the hash": hashlib.sha256(hashlib.sha256(NONCE.encode()).hexdigest().encode()).hexdigest(),
    "nonce is no text": [NONCE],
    "nonce with half a character": "\ud800",
}


async def refused(answer, rows) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.json()["type"] == "urn:irisvue:problem:identity-token-refused"
    assert await rows(User) == await rows(ProviderIdentity) == 0


@pytest.mark.parametrize("provider", ["apple", "google"])
@pytest.mark.parametrize("case", CASES, ids="S8-{}".format)
async def test_a_token_that_proves_nothing_is_refused(phone, rows, provider, case):
    fake = phone.fakes[provider]
    fake.keys.append(fake.keyring.weak_rsa)
    await refused(await phone.send(provider, CASES[case](fake)), rows)


@pytest.mark.parametrize("provider", ["apple", "google"])
@pytest.mark.parametrize("case", NONCE_CASES, ids="S8-{}".format)
async def test_a_nonce_must_be_in_the_token_and_in_the_request(phone, rows, provider, case):
    answer = await phone.sign_in(provider, nonce=NONCE_CASES[case], fields={"nonce": NONCE})
    await refused(answer, rows)


@pytest.mark.parametrize("provider", ["apple", "google"])
async def test_a_token_of_the_other_provider_is_refused(phone, rows, provider):
    other = phone.fakes["google" if provider == "apple" else "apple"]
    await refused(await phone.send(provider, other.token()), rows)


async def test_an_access_token_of_ours_is_no_id_token(client, ada, phone):
    answer = await phone.send("google", ada.tokens["access_token"])
    assert answer.status_code == 401
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 200


@pytest.mark.parametrize(
    "azp", ["stranger.apps.example", "", None, ["web.apps.example"]], ids="S8-azp-{}".format
)
async def test_google_s_token_for_another_party_is_refused(phone, rows, azp):
    answer = await phone.sign_in("google", azp=azp)
    await refused(answer, rows)


@pytest.mark.parametrize("provider", ["apple", "google"])
async def test_an_id_token_is_no_access_token(client, phone, provider):
    token = phone.fakes[provider].token()
    answer = await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


async def test_a_token_of_absurd_length_is_refused_before_it_is_read(phone, apple):
    answer = await phone.send("apple", "a" * 8193)
    assert answer.status_code == 422
    assert apple.asked == []


@pytest.mark.parametrize("field", ["identity_token", "authorization_code", "nonce"])
@pytest.mark.parametrize("text", ["\ud800", "\x00", "", 7, [], {}])
async def test_what_is_no_text_or_no_token_is_never_an_error_of_ours(phone, client, apple, rows, field, text):
    body = {"identity_token": apple.token(), field: text}
    content = json.dumps(body)
    answer = await client.post(
        "/api/v1/auth/apple", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in {401, 422}, answer.text
    assert await rows(User) == 0


@pytest.mark.parametrize("provider", ["apple", "google"])
async def test_the_answer_and_the_log_say_nothing_of_the_token(phone, capsys, provider):
    answer = await phone.sign_in(provider, aud="org.example.other")
    assert answer.status_code == 401
    shown = answer.text + "".join(capsys.readouterr())
    assert "example" not in shown.replace("irisvue", "")
    assert "001234" not in shown


@pytest.mark.parametrize("provider", ["apple", "google"])
@pytest.mark.parametrize(
    "trouble", ["redirect", "oversize", "slow", "not json", 404, 500], ids="S8-keys-{}".format
)
async def test_without_keys_nobody_is_believed_and_nobody_waits_long(phone, rows, provider, trouble):
    fake = phone.fakes[provider]
    fake.trouble["keys"] = trouble
    started = time.monotonic()
    answers = [await phone.sign_in(provider) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {503}
    assert "retry-after" in answers[0].headers
    assert fake.asked == ["keys"]
    assert time.monotonic() - started < 4
    assert await rows(User) == 0


@pytest.mark.parametrize("provider", ["apple", "google"], ids="S8-{}".format)
async def test_while_a_provider_is_slow_everybody_else_is_served(client, ada, phone, rows, provider):
    fake = phone.fakes[provider]
    fake.trouble["keys"] = "slow"
    waiting = [asyncio.create_task(phone.sign_in(provider)) for _ in range(20)]
    served = 0
    while not all(sign_in.done() for sign_in in waiting):
        assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 200
        served += 1
    assert served > 1
    assert {(await sign_in).status_code for sign_in in waiting} == {503}
    assert await rows(ProviderIdentity) == 0


def test_at_least_twenty_five_tokens_that_prove_nothing_are_tried():
    assert len(CASES) + len(NONCE_CASES) >= 25


@pytest.mark.parametrize("row", ["A-13-flood-at-a-provider"])
async def test_made_up_key_names_do_not_make_us_ask_the_provider_each_time(phone, apple, row):
    await phone.signed_in("apple")
    for number in range(20):
        assert (await phone.send("apple", misnamed(apple, f"made-up-{number}"))).status_code == 401
    assert apple.asked.count("keys") <= 2
    await phone.signed_in("apple")


@pytest.mark.parametrize("provider", ["apple", "google"])
async def test_a_provider_without_audiences_is_switched_off(phone, service, provider):
    object.__setattr__(getattr(service.providers, provider), "_audiences", ())
    answer = await phone.sign_in(provider)
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:irisvue:problem:provider-not-offered"

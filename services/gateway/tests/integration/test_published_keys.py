"""K35: one address has the keys of all that the platform signs; access tokens have none but their own."""

import time
from typing import Any

import jwt
import pytest

from chassis.ids import new_id

JWKS = "/.well-known/jwks.json"
KEYS = "/internal/published-keys"


@pytest.fixture
def of_consent(service_keys: Any) -> Any:
    """Any EC P-256 key but that of access tokens."""
    return service_keys["storage"]


async def published(stage: Any) -> tuple[int, list[str], str]:
    async with stage.client.get(JWKS) as answer:
        body = await answer.json()
        return (
            answer.status,
            [key.get("kid") for key in body.get("keys", ())],
            answer.headers.get("Cache-Control", ""),
        )


async def test_k35_keys_of_tokens_receipts_and_checkpoints_are_at_one_address(
    stage: Any, of_consent: Any
) -> None:
    log_key = {"kty": "OKP", "crv": "Ed25519", "x": "AQID", "kid": "log+01020304+AQID"}
    stage.consent.answers("GET", KEYS, {"keys": [of_consent.jwk, log_key]})

    status, kids, cached = await published(stage)

    assert (status, kids) == (200, [stage.mint.key.kid, of_consent.kid, "log+01020304+AQID"])
    assert cached == "public, max-age=300"
    assert stage.consent.asked[-1].headers["Authorization"].startswith("Bearer ")


async def test_k35_keys_of_a_service_that_is_away_are_the_last_ones(stage: Any, of_consent: Any) -> None:
    stage.consent.answers("GET", KEYS, {}, 503)
    assert await published(stage) == (200, [stage.mint.key.kid], "public, max-age=5")

    stage.consent.answers("GET", KEYS, {"keys": [of_consent.jwk]})
    await published(stage)
    stage.consent.answers("GET", KEYS, {}, 503)
    stage.identity.answers("GET", JWKS, {}, 503)
    assert await published(stage) == (200, [stage.mint.key.kid, of_consent.kid], "public, max-age=5")


async def test_k35_without_the_keys_of_tokens_nothing_is_said(stage: Any) -> None:
    stage.identity.answers("GET", JWKS, {"keys": None})
    assert (await published(stage))[0] == 503


async def test_k35_key_of_receipts_signs_no_access_token(stage: Any, of_consent: Any) -> None:
    """The gateway looks keys up by `kid` at identity alone: what else is published opens nothing."""
    stage.consent.answers("GET", KEYS, {"keys": [of_consent.jwk]})
    await published(stage)
    now = time.time()
    claims = {
        "iss": stage.settings.access_token_issuer,
        "aud": "irisvue-api",
        "sub": str(new_id()),
        "sid": str(new_id()),
        "jti": str(new_id()),
        "iat": now,
        "exp": now + 600,
        "auth_time": now,
    }

    def bearer(key: Any, kid: str, token_type: str) -> dict[str, str]:
        headers = {"typ": token_type, "kid": kid}
        token = jwt.encode(claims, key.private, algorithm="ES256", headers=headers)
        return {"Authorization": f"Bearer {token}"}

    for key, kid, token_type, expected in (
        (stage.mint.key, stage.mint.key.kid, "at+jwt", 200),
        (of_consent, of_consent.kid, "at+jwt", 401),
        (of_consent, stage.mint.key.kid, "at+jwt", 401),
        (stage.mint.key, stage.mint.key.kid, "consent-receipt+jwt", 401),
        (of_consent, of_consent.kid, "consent-receipt+jwt", 401),
    ):
        async with stage.client.get("/api/v1/photos", headers=bearer(key, kid, token_type)) as answer:
            assert answer.status == expected

"""Rows A-06 and A-07 of the standards: what the links of mails are, and what they never do."""

import base64
import hashlib

import pytest
from sqlalchemy import text

NEW_PASSWORD = "an entirely different phrase"


@pytest.fixture
async def reset_token(client, ada, mailbox, post_office):
    """Return the token of a reset mail."""
    await client.post("/api/v1/auth/request-password-reset", json={"email": ada.email})
    await post_office()
    return mailbox.token()


@pytest.mark.parametrize("row", ["A-06-256-bits-and-only-a-hash-is-kept"])
async def test_a_token_is_random_and_only_its_hash_is_kept(service, reset_token, row):
    async with service.unit_of_work() as uow:
        kept = (await uow.session.scalars(text("SELECT token_hash FROM identity.mail_tokens"))).all()
        rows = (await uow.session.scalars(text("SELECT t::text FROM identity.mail_tokens t"))).all()
    assert len(base64.urlsafe_b64decode(reset_token + "==")) == 32, row
    assert hashlib.sha256(reset_token.encode()).hexdigest() in kept
    assert all(reset_token not in row for row in rows)


@pytest.mark.parametrize(
    ("setting", "most", "default"),
    [
        pytest.param("reset_minutes", 60, 15, id="A-06-reset"),
        pytest.param("verify_hours", None, 24, id="A-06-confirmation"),
    ],
)
def test_links_live_shortly(settings, setting, most, default):
    field = type(settings).model_fields[setting]
    assert field.default == default
    assert most is None or any(getattr(limit, "le", None) == most for limit in field.metadata)


@pytest.mark.parametrize("row", ["A-06-old-address"])
async def test_a_link_to_the_old_address_dies_with_the_change(client, ada, mailbox, post_office, row):
    await post_office()
    await client.post("/api/v1/auth/request-password-reset", json={"email": ada.email})
    await post_office()
    reset = mailbox.token()
    await client.patch("/api/v1/users/me", json={"email": "new@example.org"}, headers=ada.bearer)
    await post_office()
    number = next(n for n, mail in enumerate(mailbox.messages) if mail["To"] == "new@example.org")
    moved = await client.post("/api/v1/auth/verify-email", json={"token": mailbox.token(number)})
    assert moved.status_code == 200, row
    late = await client.post(
        "/api/v1/auth/reset-password", json={"token": reset, "new_password": NEW_PASSWORD}
    )
    assert late.status_code == 401


@pytest.mark.parametrize(
    ("second", "good"),
    [
        pytest.param("second@example.org", 1, id="A-06-the-last-request-counts"),
        pytest.param("ada@example.org", 0, id="A-06-asking-for-the-present-address-takes-it-back"),
    ],
)
async def test_of_two_changes_of_address_one_at_most_can_be_confirmed(
    client, ada, mailbox, post_office, second, good
):
    await post_office()
    for email in ("first@example.org", second):
        await client.patch("/api/v1/users/me", json={"email": email}, headers=ada.bearer)
        await post_office()
    confirmed = []
    for number, mail in enumerate(mailbox.messages):
        if mail["Subject"] == "Confirm your new address":
            answer = await client.post("/api/v1/auth/verify-email", json={"token": mailbox.token(number)})
            confirmed += [str(mail["To"])] if answer.status_code == 200 else []
    assert confirmed == [second] * good
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).json()["email"] == second


SIGN_IN = {
    "/api/v1/auth/login",
    "/api/v1/auth/login/json",
    "/api/v1/auth/refresh",
    "/api/v1/auth/apple",
    "/api/v1/auth/google",
    "/api/v1/auth/passkeys/authentication/verify",
}


@pytest.mark.parametrize("row", ["A-07-no-route-signs-in-by-mail"])
async def test_tokens_come_from_passwords_providers_and_passkeys_only(client, row):
    document = (await client.get("/openapi.json")).json()
    giving = {
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if "TokenResponse" in str(operation["responses"].get("200"))
    }
    assert giving == SIGN_IN, row


@pytest.mark.parametrize(
    "kind", [pytest.param("verify-email", id="A-07-confirmation"), pytest.param("reset", id="A-07-reset")]
)
async def test_a_link_signs_nobody_in(client, ada, mailbox, post_office, reset_token, kind):
    if kind == "reset":
        body = {"token": reset_token, "new_password": NEW_PASSWORD}
        answer = await client.post("/api/v1/auth/reset-password", json=body)
    else:
        answer = await client.post("/api/v1/auth/verify-email", json={"token": mailbox.token(0)})
    assert answer.status_code == 200
    assert set(answer.json()) == {"message"}
    assert "set-cookie" not in answer.headers
    as_bearer = await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {reset_token}"})
    assert as_bearer.status_code == 401

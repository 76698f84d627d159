"""A phone that loses answers, through the whole platform."""

import asyncio
import secrets

PASSWORD = "seven blue irises"


def a_key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(16)}


async def test_S21_fifty_sign_ups_of_one_phone_are_one_account(new_app, stage) -> None:  # noqa: N802
    app, headers, email = new_app(), a_key(), f"{secrets.token_hex(6)}@example.com"
    body = {"email": email, "password": PASSWORD}
    answers = await asyncio.gather(
        *(app.call("POST", "/auth/register", json=body, headers=headers) for _ in range(50))
    )

    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert await stage.count("SELECT count(*) FROM identity.users WHERE email = $1", email) == 1
    other = await app.call("POST", "/auth/register", json={**body, "email": f"x{email}"}, headers=headers)
    assert (other.status, other.problem) == (422, "idempotency-key-reused")


async def test_S21_receipt_of_an_erasure_can_be_fetched_again_until_the_token_expires(  # noqa: N802
    person, small_jpeg, until_erased
) -> None:
    await person.agree()
    await person.take_picture(small_jpeg)
    request = {"json": {"confirm": True}, "headers": a_key()}
    receipt = await person.app.call("DELETE", "/users/me", **request)
    assert receipt.status == 200
    assert (await person.app.me()).status == 401

    again = await person.app.call("DELETE", "/users/me", **request)
    assert (again.status, again.body) == (200, receipt.body)
    status = await until_erased(person.app, again.document)
    assert {part["status"] for part in status["participants"]} == {"completed"}

    late = await person.app.call("DELETE", "/users/me", **request)
    assert (late.status, late.body) == (200, receipt.body)
    stranger = await person.app.call("DELETE", "/users/me", **request | {"headers": a_key()})
    assert (stranger.status, stranger.problem) == (401, "unauthorized")

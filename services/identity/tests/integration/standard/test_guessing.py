"""Rows A-04 and A-05 of the standards: guessing ends, harms no owner, and tells nobody who has an account."""

import asyncio

import pytest
from sqlalchemy import text

PASSWORD = "correct horse battery staple"
EMAIL = "ada@example.org"
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"


@pytest.fixture
def at(service_headers):
    """Return a function that makes the headers of a request which the gateway forwards from an address."""
    proof = service_headers("gateway", "identity")["Authorization"].removeprefix("Bearer ")

    def _at(address: str) -> dict[str, str]:
        return {"X-Forwarded-For": address, "X-Service-Token": proof}

    return _at


async def log_in(client, password=PASSWORD, headers=None, email=EMAIL):
    body = {"email": email, "password": password}
    return await client.post("/api/v1/auth/login/json", json=body, headers=headers or {})


async def guess_from_many_networks(client, at, number):
    answers = await asyncio.gather(
        *(log_in(client, "wrong", at(f"10.{network}.0.1")) for network in range(number))
    )
    return [answer.status_code for answer in answers]


@pytest.fixture
async def besieged(client, ada, at):
    """Return somebody at home whose account strangers have guessed at from everywhere."""
    answer = await log_in(client, headers=at(HOME))
    ada.tokens = answer.json()
    found = await guess_from_many_networks(client, at, 120)
    assert found.count(401) <= 100
    assert found.count(429) == 120 - found.count(401) >= 20
    return ada


@pytest.mark.parametrize(
    ("address", "status"),
    [
        pytest.param(HOME, 200, id="A-04-owner-at-home"),
        pytest.param("198.51.100.200", 200, id="A-04-owner-in-the-same-network"),
        pytest.param(ELSEWHERE, 429, id="A-04-rotating-networks-stay-limited"),
    ],
)
async def test_guesses_from_everywhere_end_and_keep_the_owner_in(client, besieged, at, address, status):
    answer = await log_in(client, headers=at(address))
    assert answer.status_code == status
    assert "retry-after" in answer.headers or status == 200
    me = await client.get("/api/v1/users/me", headers=besieged.bearer)
    again = await besieged.refresh(besieged.tokens["refresh_token"])
    assert (me.status_code, again.status_code) == (200, 200)


@pytest.mark.parametrize("row", ["A-04-guesses-at-home-are-limited-too"])
async def test_being_at_home_gives_no_more_guesses_than_elsewhere(client, besieged, at, row):
    found = [(await log_in(client, "wrong", at(HOME))).status_code for _ in range(11)]
    assert found == [401] * 10 + [429], row


@pytest.mark.parametrize("address", [HOME, ELSEWHERE], ids="A-04-reset-from-{}".format)
async def test_who_has_reset_the_password_can_use_it_at_once(
    client, besieged, at, mailbox, post_office, address
):
    for _ in range(11):
        refused = await log_in(client, "wrong", at(address))
    assert refused.status_code == 429
    await client.post("/api/v1/auth/request-password-reset", json={"email": besieged.email})
    await post_office()
    body = {"token": mailbox.token(), "new_password": "wobblyteapotsky"}
    reset = await client.post("/api/v1/auth/reset-password", json=body, headers=at(address))
    assert reset.status_code == 200
    assert (await log_in(client, "wobblyteapotsky", at(address))).status_code == 200
    assert (await log_in(client, "wrong", at("192.0.2.1"))).status_code == 401


@pytest.mark.parametrize("row", ["A-04-current-password"])
async def test_a_stolen_session_does_not_guess_the_password_for_ever(client, ada, row):
    body = {"current_password": "wrong", "new_password": "wobblyteapotsky"}
    found = [
        (await client.post("/api/v1/auth/change-password", json=body, headers=ada.bearer)).status_code
        for _ in range(11)
    ]
    assert found == [401] * 10 + [429], row


async def unknown(_client, _ada, _service):
    return "nobody@example.org"


async def without_a_password(_client, ada, service):
    return await changed(service, ada, "password_hash = NULL")


async def disabled(_client, ada, service):
    return await changed(service, ada, "is_active = false")


async def being_erased(client, ada, _service):
    await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=ada.bearer)
    return ada.email


async def changed(service, person, change):
    async with service.unit_of_work() as uow:
        await uow.session.execute(text(f"UPDATE identity.users SET {change}"))
    return person.email


NOBODY = {
    "A-05-unknown": unknown,
    "A-05-without-a-password": without_a_password,
    "A-05-disabled": disabled,
    "A-05-being-erased": being_erased,
}


def said(answer):
    body = {name: value for name, value in answer.json().items() if name != "instance"}
    return answer.status_code, body, set(answer.headers)


@pytest.mark.parametrize("make", NOBODY.values(), ids=NOBODY)
async def test_a_sign_in_says_the_same_of_everybody_who_can_t(client, ada, service, make):
    expected = said(await log_in(client, "wrong"))
    email = await make(client, ada, service)
    assert said(await log_in(client, PASSWORD, email=email)) == expected
    assert said(await log_in(client, "wrong", email=email)) == expected


@pytest.mark.parametrize("make", NOBODY.values(), ids=NOBODY)
async def test_a_reset_is_answered_alike_for_everybody(client, ada, service, make):
    async def reset(email):
        return said(await client.post("/api/v1/auth/request-password-reset", json={"email": email}))

    expected = await reset(ada.email)
    assert await reset(await make(client, ada, service)) == expected

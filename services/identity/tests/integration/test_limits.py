import asyncio
from dataclasses import replace

import pytest

from chassis.counters import connect_redis
from identity.limits import AccountLimits
from identity.main import IDENTITY

PASSWORD = "correct horse battery staple"


async def guess(client, email="ada@example.org", password="wrong"):
    return await client.post("/api/v1/auth/login/json", json={"email": email, "password": password})


@pytest.mark.parametrize("row", ["A-04-one-account"])
async def test_guessing_one_account_ends_and_says_when_to_try_again(client, ada, row):
    answers = await asyncio.gather(*(guess(client) for _ in range(30)))
    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 20
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["type"] == "urn:irisvue:problem:quota-exceeded"
    assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize("row", ["A-04-unknown-address"])
async def test_an_unknown_address_is_limited_like_a_known_one(client, ada, row):
    answers = [await guess(client, "nobody@example.org") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]


@pytest.mark.parametrize("row", ["A-04-live-session"])
async def test_a_session_that_exists_is_never_locked_out(client, ada, row):
    await asyncio.gather(*(guess(client) for _ in range(15)))
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 200
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize("row", ["A-04-success"])
async def test_signing_in_does_not_use_up_the_tries(client, ada, row):
    answers = [await guess(client, password=PASSWORD) for _ in range(12)]
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize("row", ["A-04-reset-mails"])
async def test_past_the_limit_no_more_reset_mails_leave_and_the_answer_stays(client, ada, post_office, row):
    before = len(await post_office())
    answers = [
        await client.post("/api/v1/auth/request-password-reset", json={"email": ada.email}) for _ in range(5)
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert len(await post_office()) == before + 3


@pytest.mark.parametrize("row", ["A-04-without-redis"])
async def test_without_redis_the_limits_are_stricter_and_nothing_fails(service, settings, ada, row):
    away = connect_redis("redis://127.0.0.1:1/0")
    app = IDENTITY.create_api(settings)
    IDENTITY.install(app, replace(service, limits=AccountLimits(away, secret=b"test")))
    async with type(ada.client)(
        transport=type(ada.client._transport)(app),
        base_url="http://identity",
        event_hooks=ada.client.event_hooks,
    ) as client:
        answers = [await guess(client) for _ in range(7)]
    await away.aclose()
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2

"""The twelve ways in which a phone's refresh goes wrong; docs/refresh-matrix.md explains each row."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from identity.use_cases.operations.rotate_keys import rotate_keys


async def me(client, tokens):
    answer = await client.get(
        "/api/v1/users/me", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )
    return answer.status_code


async def refreshed(ada, tokens):
    answer = await ada.refresh(tokens["refresh_token"])
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(ada, tokens):
    return (await ada.refresh(tokens["refresh_token"])).status_code == 401


@pytest.mark.parametrize("row", ["A-10-case-01"])
async def test_01_lost_response(ada, client, row):
    lost = await refreshed(ada, ada.tokens)
    again = await refreshed(ada, ada.tokens)
    assert again["refresh_token"] == lost["refresh_token"]
    assert await me(client, again) == 200
    assert not await refused(ada, again)


@pytest.mark.parametrize("row", ["A-10-case-02"])
async def test_02_two_parallel(ada, client, row):
    pairs = await asyncio.gather(*(refreshed(ada, ada.tokens) for _ in range(20)))
    assert len({pair["refresh_token"] for pair in pairs}) == 1
    assert {await me(client, pair) for pair in pairs} == {200}


@pytest.mark.parametrize("row", ["A-10-case-03"])
async def test_03_app_killed_mid_write(ada, clock, row):
    await refreshed(ada, ada.tokens)
    clock.advance(timedelta(hours=20))
    recovered = await refreshed(ada, ada.tokens)
    await refreshed(ada, recovered)


@pytest.mark.parametrize("row", ["A-10-case-04"])
async def test_04_replay_of_a_token_two_generations_old(ada, row):
    second = await refreshed(ada, ada.tokens)
    third = await refreshed(ada, second)
    assert await refused(ada, ada.tokens)
    assert await refused(ada, third)


@pytest.mark.parametrize("row", ["A-10-case-05"])
async def test_05_owner_and_thief_take_turns(ada, client, clock, events, mailbox, post_office, row):
    held = [dict(ada.tokens), dict(ada.tokens)]
    rounds = 0
    while rounds < 30:
        rounds += 1
        for number in range(2):
            clock.advance(timedelta(seconds=11))
            answer = await ada.refresh(held[number]["refresh_token"])
            if answer.status_code == 401:
                break
            held[number] = answer.json()
            assert await me(client, held[number]) == 200
        else:
            continue
        break
    assert rounds <= 2
    for tokens in held:
        assert await refused(ada, tokens)
        assert await me(client, tokens) == 401
    assert "identity.session.revoked.v1" in await events()
    assert "We signed out one of your devices" in await post_office()
    assert (await ada.log_in())["access_token"]


@pytest.mark.parametrize("use", ["here", "elsewhere"])
async def test_a_replaced_token_is_a_copy_once_the_access_token_beside_its_successor_was_used(
    ada, client, clock, gateway_headers, service, use
):
    successor = await refreshed(ada, ada.tokens)
    if use == "here":
        assert await me(client, successor) == 200
    else:
        claim = service.tokens.read_refresh_token(successor["refresh_token"])
        seen = [{"session_id": str(claim.session_id), "generation": claim.generation}]
        answer = await client.post("/internal/sessions/seen", json={"seen": seen}, headers=gateway_headers)
        assert answer.status_code == 204
    assert (await refreshed(ada, ada.tokens))["refresh_token"] == successor["refresh_token"]
    clock.advance(timedelta(seconds=11))
    assert await refused(ada, ada.tokens)
    assert await refused(ada, successor)


async def test_a_token_that_does_not_exist_yet_can_not_have_been_seen(
    ada, client, clock, gateway_headers, service
):
    claim = service.tokens.read_refresh_token(ada.tokens["refresh_token"])
    seen = [
        {"session_id": str(session_id), "generation": 2} for session_id in (claim.session_id, UUID(int=7))
    ]
    answer = await client.post("/internal/sessions/seen", json={"seen": seen}, headers=gateway_headers)
    assert answer.status_code == 204
    lost = await refreshed(ada, ada.tokens)
    clock.advance(timedelta(hours=1))
    assert (await refreshed(ada, ada.tokens))["refresh_token"] == lost["refresh_token"]


async def test_only_the_gateway_tells_which_tokens_were_seen(client, service_headers):
    headers = service_headers("storage", "identity")
    assert (
        await client.post("/internal/sessions/seen", json={"seen": []}, headers=headers)
    ).status_code == 403
    assert (await client.post("/internal/sessions/seen", json={"seen": []})).status_code == 401


@pytest.mark.parametrize("row", ["A-10-case-06"])
async def test_06_clock_skew_of_five_minutes_either_way(ada, clock, row):
    clock.advance(timedelta(minutes=5))
    ahead = await refreshed(ada, ada.tokens)
    clock.advance(timedelta(minutes=-10))
    await refreshed(ada, ahead)


@pytest.mark.parametrize("row", ["A-10-case-07"])
async def test_07_restored_device_backup(ada, client, row):
    backup = ada.tokens
    newer = await refreshed(ada, backup)
    newest = await refreshed(ada, newer)
    assert await refused(ada, backup)
    assert await refused(ada, newest)
    await ada.log_in()
    assert await me(client, ada.tokens) == 200


@pytest.mark.parametrize("row", ["A-10-case-08"])
async def test_08_idle_expiry(ada, clock, row):
    clock.advance(timedelta(days=30, seconds=1))
    assert await refused(ada, ada.tokens)


@pytest.mark.parametrize("row", ["A-10-case-09"])
async def test_09_absolute_expiry(ada, clock, row):
    tokens = ada.tokens
    for _ in range(4):
        clock.advance(timedelta(days=22))
        tokens = await refreshed(ada, tokens)
    clock.advance(timedelta(days=3))
    assert await refused(ada, tokens)


@pytest.mark.parametrize("row", ["A-10-case-10"])
async def test_10_logout_race(ada, client, row):
    logout = client.post("/api/v1/auth/logout", headers=ada.bearer)
    answer, _ = await asyncio.gather(ada.refresh(ada.tokens["refresh_token"]), logout)
    if answer.status_code == 200:
        assert await me(client, answer.json()) == 401
        assert await refused(ada, answer.json())
    assert await refused(ada, ada.tokens)


@pytest.mark.parametrize("row", ["A-10-case-11"])
async def test_11_deletion_race(ada, client, row):
    deletion = client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=ada.bearer)
    answer, deleted = await asyncio.gather(ada.refresh(ada.tokens["refresh_token"]), deletion)
    assert deleted.status_code == 200
    if answer.status_code == 200:
        assert await me(client, answer.json()) == 401
        assert await refused(ada, answer.json())
    assert await refused(ada, ada.tokens)


@pytest.mark.parametrize("row", ["A-10-case-12"])
async def test_12_key_rotation_mid_session(ada, client, service, clock, row):
    async with service.unit_of_work() as uow:
        await rotate_keys(uow, sealing=service.sealing_keys, publish_for=timedelta(minutes=-1))
    await service.load_keys()
    assert await me(client, ada.tokens) == 200
    assert await me(client, await refreshed(ada, ada.tokens)) == 200

"""Idempotency-Key crosses the gateway, and asks behind it for the last answer of an account."""

from typing import Any

import pytest

from chassis.ids import new_id

ME = "/api/v1/users/me"
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


async def test_key_reaches_the_service_and_its_mark_comes_back(stage: Any) -> None:
    stage.storage.answers("POST", "/api/v1/photos/upload", {}, 201, **{"Idempotency-Replayed": "true"})
    headers = stage.mint.bearer() | KEY
    async with stage.client.post("/api/v1/photos/upload", headers=headers, json={}) as answer:
        assert answer.status == 201
        assert answer.headers["Idempotency-Replayed"] == "true"
    assert stage.storage.asked[0].headers["Idempotency-Key"] == KEY["Idempotency-Key"]


@pytest.mark.parametrize("status", [200, 401], ids=["S21 answer that was kept", "nothing was kept"])
async def test_deletion_whose_answer_was_lost_is_repeated_although_the_session_has_ended(
    stage: Any, status: int
) -> None:
    own = stage.mint.bearer(new_id())
    async with stage.client.delete(ME, headers=own | KEY, json={"confirm": True}) as answer:
        assert answer.status == 200
    stage.identity.answers("DELETE", ME, {"erasure_id": "1"}, status)
    async with stage.client.delete(ME, headers=own | KEY, json={"confirm": True}) as answer:
        assert answer.status == status
        assert await answer.json() == {"erasure_id": "1"}
    # The door has opened for this one question only.
    async with stage.client.get(ME, headers=own | KEY) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("DELETE", ME, {}),
        ("PATCH", ME, KEY),
        ("POST", "/api/v1/auth/logout-all", KEY),
        ("POST", "/api/v1/photos/upload", KEY),
        ("DELETE", "/api/v1/photos/01a21af9-8ba9-71ba-92af-115a2d6c0891", KEY),
    ],
)
async def test_key_opens_nothing_else_to_an_ended_session(
    stage: Any, method: str, path: str, key: dict[str, str]
) -> None:
    own = stage.mint.bearer(new_id())
    async with stage.client.post("/api/v1/auth/logout", headers=own) as answer:
        assert answer.status == 200
    before = len(stage.identity.asked) + len(stage.storage.asked)
    async with stage.client.request(method, path, headers=own | key, json={"confirm": True}) as answer:
        assert answer.status == 401
    assert len(stage.identity.asked) + len(stage.storage.asked) == before


async def test_stranger_with_a_key_is_refused_at_the_door(stage: Any) -> None:
    for headers in (KEY, KEY | {"Authorization": "Bearer x.y.z"}):
        async with stage.client.delete(ME, headers=headers, json={"confirm": True}) as answer:
            assert answer.status == 401
    assert all(request.path != ME for request in stage.identity.asked)

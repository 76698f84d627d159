"""Who may pass, and how soon an ended session may not."""

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis.ids import new_id
from support import FrozenClock, eventually
from support.forged_tokens import TokenForge, forged_bearers

ISSUER = "http://localhost:8000"
ME = "/api/v1/users/me"
OPEN = "/api/v1/privacy/jurisdiction"


async def status_of(stage: Any, headers: dict[str, str] | None = None, path: str = ME) -> int:
    async with stage.client.get(path, headers=headers) as answer:
        if answer.status >= 400:
            assert answer.content_type == "application/problem+json"
        return int(answer.status)


async def test_genuine_token_passes(stage: Any) -> None:
    assert await status_of(stage, stage.mint.bearer()) == 200


NO_TOKEN, NO_GOOD_TOKEN = "Bearer", 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, NO_TOKEN),
        ("", NO_TOKEN),
        ("Bearer", NO_TOKEN),
        ("Bearer ", NO_TOKEN),
        ("Basic eDp5", NO_TOKEN),
        ("Bearer a.b.c", NO_GOOD_TOKEN),
        ("bearer x y", NO_GOOD_TOKEN),
    ],
)
async def test_no_token_is_a_401_that_never_reaches_the_service(
    stage: Any, authorization: str | None, challenge: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with stage.client.get(ME, headers=headers) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == challenge
        assert (await answer.json())["type"] == "urn:irisvue:problem:unauthorized"
    assert all(request.path != ME for request in stage.identity.asked)


@pytest.mark.parametrize("row", ["S3-gateway"])
async def test_of_all_forged_tokens_none_is_accepted_and_none_breaks_anything(
    open_stage: Any, mint: Any, row: str
) -> None:
    forge = TokenForge(issuer=ISSUER, audience="irisvue-api", private=mint.key.private, kid=mint.key.kid)
    async with open_stage(limits='{"refused": "1000/minute"}') as stage:

        async def status(bearer: bytes) -> int:
            return await status_of(stage, {"Authorization": bearer.decode("latin-1")})

        assert await status(b"Bearer " + forge.good().encode()) == 200, row
        passed = len(stage.identity.asked)
        answers = {wrong: await status(bearer) for wrong, bearer in forged_bearers(forge)}
        assert len(answers) >= 60
        assert {wrong: found for wrong, found in answers.items() if found != 401} == {}
        assert all(request.path != ME for request in stage.identity.asked[passed:])


async def test_token_that_outlives_the_deny_list_is_refused(stage: Any) -> None:
    assert await status_of(stage, stage.mint.bearer(exp=time.time() + 2 * 86_400)) == 401


@pytest.mark.parametrize("row", ["A-09-ended-elsewhere"])
async def test_session_ended_elsewhere_is_refused_within_a_second(stage: Any, row: str) -> None:
    user, session, other = new_id(), new_id(), new_id()
    headers = stage.mint.bearer(user, session)
    assert await status_of(stage, headers) == 200
    ended_at = time.monotonic()
    await stage.identity.revoke(session)

    async def refused() -> None:
        assert await status_of(stage, headers) == 401

    await eventually(refused, seconds=1)
    assert time.monotonic() - ended_at < 1
    assert await status_of(stage, stage.mint.bearer(user, other)) == 200


async def test_every_gateway_refuses_an_ended_session(stage: Any, open_stage: Any) -> None:
    async with open_stage(identity_url=stage.identity.url) as beside:
        session = new_id()
        headers = stage.mint.bearer(new_id(), session)
        gateways = (stage, beside)
        assert [await status_of(gateway, headers) for gateway in gateways] == [200, 200]
        await stage.identity.revoke(session)

        async def refused() -> None:
            assert [await status_of(gateway, headers) for gateway in gateways] == [401, 401]

        await eventually(refused, seconds=1)


async def test_new_sign_in_after_all_sessions_ended_is_welcome(stage: Any) -> None:
    user = new_id()
    async with stage.client.post("/api/v1/auth/logout-all", headers=stage.mint.bearer(user)) as answer:
        assert answer.status == 200
    assert await status_of(stage, stage.mint.bearer(user, new_id())) == 200
    # An `iat` in whole seconds lies before the revocation although the sign-in came after it.
    assert await status_of(stage, stage.mint.bearer(user, new_id(), iat=int(time.time()))) == 200


@pytest.mark.parametrize(
    ("method", "path", "others_end"),
    [
        pytest.param("POST", "/api/v1/auth/logout", False, id="A-09-logout"),
        pytest.param("POST", "/api/v1/auth/logout-all", True, id="A-09-logout-everywhere"),
        pytest.param("DELETE", "/api/v1/users/me", True, id="A-09-deletion"),
    ],
)
async def test_own_token_is_refused_on_the_very_next_call(
    stage: Any, method: str, path: str, others_end: bool
) -> None:
    user = new_id()
    own, other_device = stage.mint.bearer(user, new_id()), stage.mint.bearer(user, new_id())
    # Identity says nothing by its feed here: the gateway draws the conclusion itself.
    async with stage.client.request(method, path, headers=own, json={"confirm": True}) as answer:
        assert answer.status == 200
        # The answer's head is here, so the session is over, whatever of the body is still to come.
        assert await status_of(stage, own) == 401
    assert await status_of(stage, other_device) == (401 if others_end else 200)


async def test_session_ended_from_the_list_is_refused_at_once(stage: Any) -> None:
    user, session = new_id(), new_id()
    own, lost_phone = stage.mint.bearer(user, new_id()), stage.mint.bearer(user, session)
    path = f"/api/v1/auth/sessions/{str(session).upper()}"
    async with stage.client.delete(path, headers=own) as answer:
        assert answer.status == 200
    assert await status_of(stage, lost_phone) == 401
    assert await status_of(stage, own) == 200


async def test_failed_logout_ends_nothing(stage: Any) -> None:
    own = stage.mint.bearer()
    stage.identity.answers("POST", "/api/v1/auth/logout-all", {}, 503)
    async with stage.client.post("/api/v1/auth/logout-all", headers=own) as answer:
        assert answer.status == 503
    assert await status_of(stage, own) == 200


async def test_blind_gateway_lets_nobody_in_but_serves_open_routes(open_stage: Any) -> None:
    async with open_stage(blind=True) as stage:
        assert await status_of(stage, None, OPEN) == 200
        assert await status_of(stage) == 401
        assert await status_of(stage, stage.mint.bearer()) == 503
        async with stage.client.get("/health/readiness") as answer:
            assert answer.status == 503
            assert "revocations" in (await answer.json())["detail"]
        await stage.identity.start()

        async def back() -> None:
            assert await status_of(stage, stage.mint.bearer()) == 200

        await eventually(back)


async def test_gateway_that_hears_nothing_for_ten_seconds_closes(
    open_stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.revocations.STALE_SECONDS", 0.6)
    monkeypatch.setattr("gateway.revocations.WAIT_SECONDS", 0.2)
    async with open_stage() as stage:
        headers = stage.mint.bearer()
        assert await status_of(stage, headers, "/api/v1/photos") == 200
        await stage.identity.stop()

        async def closed() -> None:
            async with stage.client.get("/api/v1/photos", headers=headers) as answer:
                assert answer.status == 503
                assert (await answer.json())["type"] == "urn:irisvue:problem:sessions-unverifiable"

        await eventually(closed, seconds=3)
        await stage.identity.start()

        async def open_again() -> None:
            assert await status_of(stage, headers, "/api/v1/photos") == 200

        await eventually(open_again)


async def test_new_gateway_knows_what_ended_before_it_started(open_stage: Any) -> None:
    user, session = new_id(), new_id()
    async with open_stage(blind=True) as stage:
        await stage.identity.revoke(session)
        await stage.identity.start()

        async def refused() -> None:
            assert await status_of(stage, stage.mint.bearer(user, session)) == 401

        await eventually(refused)


async def test_identity_restored_from_a_backup_is_heard_from_the_beginning(stage: Any) -> None:
    for _ in range(5):
        await stage.identity.revoke(new_id())

    async def heard(number: int) -> None:
        assert len(stage.service.denylist) >= number

    await eventually(lambda: heard(5))
    await stage.identity.stop()

    async def noticed() -> None:
        # Putting a backup back takes longer than the next question.
        assert stage.service.feed._position == 0

    await eventually(noticed)
    stage.identity.revocations.clear()
    user, session = new_id(), new_id()
    await stage.identity.revoke(session)
    await stage.identity.start()

    async def refused() -> None:
        assert await status_of(stage, stage.mint.bearer(user, session)) == 401

    await eventually(refused)


async def test_keys_that_cannot_be_fetched_are_a_503_and_not_a_401(stage: Any) -> None:
    stage.identity.answers("GET", "/.well-known/jwks.json", {}, 500)
    assert await status_of(stage, stage.mint.bearer()) == 503


async def test_twenty_calls_while_logging_out_never_pass_after_the_answer(stage: Any) -> None:
    user, session = new_id(), new_id()
    headers = stage.mint.bearer(user, session)
    async with stage.client.post("/api/v1/auth/logout", headers=headers) as answer:
        assert answer.status == 200
    assert set(await asyncio.gather(*(status_of(stage, headers) for _ in range(20)))) == {401}


async def test_own_token_is_covered_although_identitys_clock_is_ahead(open_stage: Any) -> None:
    slow = FrozenClock()
    slow.advance(timedelta(seconds=-20))
    async with open_stage(clock=slow) as stage:
        user = new_id()
        own, other = stage.mint.bearer(user), stage.mint.bearer(user)
        async with stage.client.post("/api/v1/auth/logout-all", headers=own) as answer:
            assert answer.status == 200
        assert await status_of(stage, own) == 401
        del other


@pytest.mark.parametrize("minutes", [10, -10], ids=["ahead", "behind"])
async def test_gateway_whose_clock_is_wrong_knows_what_has_ended_and_lets_in_who_signs_in_again(
    open_stage: Any, minutes: int
) -> None:
    wrong = FrozenClock()
    wrong.advance(timedelta(minutes=minutes))
    async with open_stage(clock=wrong) as stage:
        user, stolen = new_id(), new_id()
        for ended in [new_id() for _ in range(5)] + [stolen]:
            await stage.identity.revoke(ended)

        async def refused() -> None:
            assert await status_of(stage, stage.mint.bearer(user, stolen)) == 401

        await eventually(refused)
        assert stage.service.feed.fresh
        own = stage.mint.bearer(user)
        async with stage.client.post("/api/v1/auth/logout-all", headers=own) as answer:
            assert answer.status == 200
        assert await status_of(stage, own) == 401
        assert await status_of(stage, stage.mint.bearer(user, new_id())) == 200


async def test_first_page_of_a_long_list_is_not_all_that_is_known(open_stage: Any) -> None:
    async with open_stage(blind=True) as stage:
        stage.identity.page_size = 2
        ended = [new_id() for _ in range(9)]
        for session in ended:
            await stage.identity.revoke(session)
        await stage.identity.start()

        async def fresh() -> None:
            assert stage.service.feed.fresh

        await eventually(fresh)
        assert [await status_of(stage, stage.mint.bearer(None, session)) for session in ended] == [401] * 9


def link(session: UUID, spelled: str = "session={}") -> str:
    return f"/api/v1/photos/{new_id()}/content?{spelled.format(session)}&expires=1&signature=0"


async def test_link_dies_with_its_session_at_once(stage: Any) -> None:
    user, session, other = new_id(), new_id(), new_id()
    assert await status_of(stage, path=link(session)) == 200
    async with stage.client.delete(ME, headers=stage.mint.bearer(user, session)) as answer:
        assert answer.status == 200
    passed = len(stage.storage.asked)
    assert await status_of(stage, path=link(session)) == 410
    assert len(stage.storage.asked) == passed
    assert await status_of(stage, path=link(other)) == 200


@pytest.mark.parametrize(
    "spelled",
    ["", "session=", "session={0}&session={0}", "session=%7B{0}%7D", "session=urn:uuid:{0}", "SESSION={0}"],
)
async def test_link_that_names_its_session_in_another_way_is_refused(stage: Any, spelled: str) -> None:
    passed = len(stage.storage.asked)
    assert await status_of(stage, path=link(new_id(), spelled)) == 403
    assert len(stage.storage.asked) == passed

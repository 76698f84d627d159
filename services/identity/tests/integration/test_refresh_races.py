"""S4: many refreshes at once, and two parties that hold one token; see docs/refresh-matrix.md."""

import asyncio
import random
import time

import pytest
from sqlalchemy import text

ROUNDS, AT_ONCE = 100, 20


def json_of(answer) -> dict[str, str]:
    return answer.json()


@pytest.fixture
def generation(service):
    """Return a function that reads how often the only session was rotated, and whether it lives."""

    async def _generation() -> tuple[int, bool]:
        query = "SELECT generation, ended_at IS NULL FROM identity.sessions"
        async with service.unit_of_work() as uow:
            return tuple((await uow.session.execute(text(query))).one())

    return _generation


@pytest.mark.parametrize("row", ["S4-A-10-twenty-at-once-a-hundred-times"])
async def test_of_twenty_refreshes_at_once_one_rotates_and_all_get_its_token(ada, generation, row):
    token = ada.tokens["refresh_token"]
    for done in range(1, ROUNDS + 1):
        answers = await asyncio.gather(*(ada.refresh(token) for _ in range(AT_ONCE)))
        assert [answer.status_code for answer in answers] == [200] * AT_ONCE, row
        ((token, _),) = {(pair["refresh_token"], pair["access_token"]) for pair in map(json_of, answers)}
        assert await generation() == (1 + done, True)


@pytest.mark.parametrize("row", ["S4-A-10-replay-ends-the-session"])
async def test_a_replayed_token_ends_the_session_within_a_second(client, ada, gateway_headers, row):
    first = ada.tokens["refresh_token"]
    second = (await ada.refresh(first)).json()
    third = (await ada.refresh(second["refresh_token"])).json()
    started = time.monotonic()
    assert (await ada.refresh(first)).status_code == 401, row
    bearer = {"Authorization": f"Bearer {third['access_token']}"}
    assert (await client.get("/api/v1/users/me", headers=bearer)).status_code == 401
    feed = await client.get("/internal/session-revocations", headers=gateway_headers)
    assert len(feed.json()["revocations"]) == 1
    assert time.monotonic() - started < 1
    for pair in (second, third):
        assert (await ada.refresh(pair["refresh_token"])).status_code == 401


class Party:
    """Somebody who holds a token of the session and does not know of the other one."""

    def __init__(self, ada, token: str) -> None:
        self._ada = ada
        self.token = token
        self.refused = False

    async def refresh(self, *, answer_arrives: bool) -> None:
        answer = await self._ada.refresh(self.token)
        self.refused = answer.status_code == 401
        if answer_arrives and not self.refused:
            self.token = answer.json()["refresh_token"]


@pytest.mark.parametrize("seed", range(10), ids="S4-A-10-stolen-token-{}".format)
async def test_owner_and_thief_hold_one_line_of_tokens_until_it_ends(ada, service, generation, seed):
    chance = random.Random(seed)
    owner, thief = (Party(ada, ada.tokens["refresh_token"]) for _ in range(2))
    while not (owner.refused or thief.refused):
        moving = chance.choice([[owner], [thief], [owner, thief]])
        before, _ = await generation()
        arrives = [chance.random() < 0.9 for _ in moving]
        await asyncio.gather(
            *(party.refresh(answer_arrives=here) for party, here in zip(moving, arrives, strict=True))
        )
        now, _ = await generation()
        assert now - before <= len(moving)
        claims = [service.tokens.read_refresh_token(party.token).generation for party in (owner, thief)]
        # Both hold tokens of one counter, so that there is never a second live line: whoever falls two
        # behind is found out.
        assert max(claims) <= now
    assert (await generation())[1] is False
    for party in (owner, thief):
        assert (await ada.refresh(party.token)).status_code == 401

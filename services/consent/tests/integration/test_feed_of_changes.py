"""Storage follows the feed of changed gates by its position alone; no change may ever be missed."""

import asyncio
import random
import time
from datetime import timedelta

import pytest

from chassis.holdings import Holdings
from chassis.ids import new_id
from chassis.service_auth import ServiceTokens
from consent.holdings import HOLDINGS
from consent.use_cases.expire_consents import expire_consents

MANY = 2_500
A_CROWD = """
    INSERT INTO consent.gates (user_id, consent_type, epoch)
    SELECT gen_random_uuid(), 'biometric_capture', 2 FROM generate_series(1, $1)
"""


TOLD_TO_ALL = """
    INSERT INTO consent.gates (user_id, consent_type, epoch, position)
    SELECT gen_random_uuid(), 'biometric_capture', 2, nextval('consent.gate_positions')
    FROM generate_series(1, $1)
"""
HUNDRED_THOUSAND, IDLE_SECONDS = 100_000, 0.05


@pytest.fixture
def feed(client, platform, settings):
    """Read a page as another service does: `await feed(after=…, limit=…)`."""

    async def page(*, caller: str = "storage", **query):
        key = platform.servers.values[f"{caller.upper()}_SERVICE_KEY"].replace("\\n", "\n")
        tokens = ServiceTokens(caller, private_key=key, public_keys=settings.service_public_keys)
        headers = {"Authorization": f"Bearer {tokens.issue('consent')}"}
        return await client.get("/internal/consents", params=query, headers=headers)

    return page


class Follower:
    """Knows of each consent what the feed told last, as storage does."""

    def __init__(self, feed) -> None:
        self._feed = feed
        self.position = 0
        self.known: dict[tuple[str, str], dict] = {}

    async def catch_up(self, *, limit: int = 1000) -> int:
        told = 0
        while True:
            page = (await self._feed(after=self.position, limit=limit)).json()
            assert page["position"] >= self.position
            assert page["last_position"] >= page["position"]
            self.position = page["position"]
            for change in page["changes"]:
                self.known[change["user_id"], change["consent_type"]] = change
            told += len(page["changes"])
            if page["complete"]:
                return told


@pytest.fixture
def follower(feed) -> Follower:
    return Follower(feed)


async def test_a_change_is_told_once_and_as_the_answer_would_say(person, ask, follower) -> None:
    ann, ben = person(), person()
    granted = (await ann.agree()).json()
    await ben.agree("marketing")
    assert await follower.catch_up() == 2
    assert await follower.catch_up() == 0
    await ann.withdraw(granted["id"])
    assert await follower.catch_up() == 1
    for somebody, consent_type in ((ann, "biometric_capture"), (ben, "marketing")):
        answer = (await ask(somebody.id, consent_type)).json()
        told = follower.known[str(somebody.id), consent_type]
        # What is asked of where a person is stands in answers alone: the feed knows no place.
        assert (answer.pop("may_collect"), answer.pop("stricter_jurisdiction")) == (answer["granted"], None)
        assert told == {**answer, "user_id": str(somebody.id), "consent_type": consent_type}


async def test_an_expiry_is_told_like_any_other_change(person, follower, service, clock) -> None:
    ann = person()
    await ann.agree()
    await follower.catch_up()
    clock.advance(timedelta(days=730))
    await expire_consents(service.database, clock=clock)
    assert await follower.catch_up() == 1
    told = follower.known[str(ann.id), "biometric_capture"]
    assert (told["granted"], told["epoch"], told["withdrawn_epoch"]) == (False, 2, 2)


async def test_many_are_told_in_pages(admin, feed, follower) -> None:
    await admin.execute(A_CROWD, MANY)
    first = (await feed()).json()
    assert (len(first["changes"]), first["complete"]) == (1000, False)
    assert await follower.catch_up(limit=300) == MANY
    assert len(follower.known) == MANY


async def test_nothing_new_among_a_hundred_thousand_gates_is_told_at_once(admin, feed) -> None:
    await admin.execute(TOLD_TO_ALL, HUNDRED_THOUSAND)
    await admin.execute("ANALYZE consent.gates")
    last = (await feed(after=0, limit=1)).json()["last_position"]
    times = []
    for _ in range(5):
        began = time.perf_counter()
        page = (await feed(after=last)).json()
        times.append(time.perf_counter() - began)
        assert (page["changes"], page["complete"], page["position"]) == ([], True, last)
    assert min(times) <= IDLE_SECONDS


async def test_a_change_that_commits_late_is_not_passed_over(person, service, admin, follower) -> None:
    ann, ben = person(), person()
    await ann.agree()
    await ben.agree()
    await follower.catch_up()
    async with admin.transaction():
        # Ann's change is written first and commits last.
        await admin.execute("UPDATE consent.gates SET epoch = 7, position = NULL WHERE user_id = $1", ann.id)
        await ben.withdraw((await ben.consents())[0]["id"])
        assert await asyncio.wait_for(follower.catch_up(), timeout=5) == 1
    assert await follower.catch_up() == 1
    assert follower.known[str(ann.id), "biometric_capture"]["epoch"] == 7


async def test_readers_at_once_agree_on_one_order(admin, feed) -> None:
    await admin.execute(A_CROWD, MANY)
    followers = [Follower(feed) for _ in range(4)]
    await asyncio.gather(*(follower.catch_up(limit=97) for follower in followers))
    assert {len(follower.known) for follower in followers} == {MANY}
    positions = await admin.fetch("SELECT position FROM consent.gates ORDER BY position")
    assert [row["position"] for row in positions] == list(
        range(positions[0]["position"], positions[0]["position"] + MANY)
    )


async def test_who_follows_while_minds_change_knows_in_the_end_what_the_answers_say(
    person, ask, follower, unlimited
) -> None:
    dice, people = random.Random(7), [person() for _ in range(6)]

    async def change(somebody) -> None:
        for _ in range(6):
            granted = (await somebody.agree(jurisdiction=dice.choice(["gdpr", "bipa"]))).json()
            if dice.random() < 0.5:
                await somebody.withdraw(granted["id"])

    async def follow() -> None:
        while not done.is_set():
            await follower.catch_up(limit=3)

    done = asyncio.Event()
    following = asyncio.create_task(follow())
    await asyncio.gather(*(change(somebody) for somebody in people))
    done.set()
    await following
    await follower.catch_up()
    for somebody in people:
        answer = (await ask(somebody.id)).json()
        told = follower.known[str(somebody.id), "biometric_capture"]
        assert {name: answer[name] for name in told.keys() & answer.keys()} == {
            name: told[name] for name in told.keys() & answer.keys()
        }


async def test_a_position_from_before_a_restored_backup_shows_as_ahead(feed) -> None:
    page = (await feed(after=10**15)).json()
    assert page["changes"] == []
    assert page["last_position"] < page["position"] == 10**15


async def test_only_storage_may_follow(feed, client, person) -> None:
    assert (await feed(caller="gateway")).status_code == 403
    assert (await client.get("/internal/consents")).status_code == 401
    assert (await client.get("/internal/consents", headers=person().headers)).status_code == 401


@pytest.mark.parametrize("query", [{"after": -1}, {"after": 2**63}, {"limit": 0}, {"limit": 1001}])
async def test_a_page_has_bounds(feed, query) -> None:
    assert (await feed(**query)).status_code == 422


async def test_the_gates_of_who_is_erased_leave_the_feed(person, service, follower, open_erasure) -> None:
    ann = person(new_id())
    await ann.agree()
    await open_erasure(ann.id)
    await Holdings(service, HOLDINGS).erase([ann.id])
    assert await follower.catch_up() == 0

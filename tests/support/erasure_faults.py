"""Erasures while a part of the platform fails: one story for the short tests and the long ones.

Each returns what it has measured, and raises AssertionError for whatever was lost, left or claimed too early.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import aiohttp

from cluster.environment import ADMIN, VHOST
from residue import Canaries, search
from residue.objects import search_buckets
from support.eventually import eventually

T = TypeVar("T")

Make = Callable[[], Awaitable[Any]]
Many = Callable[..., Awaitable[list[Any]]]

TURN_SECONDS = 120
SEARCHED = 40
ENDED = 401
OPEN_ERASURES = "SELECT count(*) FROM identity.erasures WHERE id = ANY ($1) AND completed_at IS NULL"
_TAKEN_ON = (
    "SELECT count(*) FROM storage.erasure_tasks WHERE lease_token IS NOT NULL OR completed_at IS NOT NULL"
)


def ids_of(receipts: Iterable[dict[str, Any]]) -> list[UUID]:
    """Return the ids of the erasures."""
    return [UUID(receipt["erasure_id"]) for receipt in receipts]


async def all_completed(stage: Any, receipts: Sequence[dict[str, Any]], *, seconds: float) -> float:
    """Wait until no erasure is open any more; return how long that took."""
    began, ids = time.monotonic(), ids_of(receipts)

    async def none_open() -> None:
        assert await stage.count(OPEN_ERASURES, ids) == 0

    await eventually(none_open, seconds=seconds)
    return time.monotonic() - began


async def with_pictures(person: Any, jpeg: bytes, pictures: int) -> list[dict[str, Any]]:
    """Have somebody agree and take pictures; return these."""
    await person.agree()
    return [await person.take_picture(jpeg) for _ in range(pictures)]


async def nothing_is_left(stage: Any, people: Sequence[Any], photos: Sequence[dict[str, Any]]) -> None:
    """Assert that no object, version, unfinished upload or row leads to these people."""
    people, photos = _some(people), _some(photos)
    traces = Canaries.of(
        ids=[*(person.id for person in people), *(photo["id"] for photo in photos)],
        words=[person.email for person in people],
        object_keys=[photo["s3_key"] for photo in photos],
    )
    found = await search(stage.values, traces)
    assert not [place for place in found if place.found], "traces are left"


async def pictures_are_gone(stage: Any, photos: Sequence[dict[str, Any]]) -> None:
    """Assert that the bucket holds nothing in the folders of these pictures."""
    traces = Canaries.of(object_keys=[photo["s3_key"] for photo in _some(photos)])
    assert not [place for place in await search_buckets(stage.values, traces) if place.found]


async def each_key_is_destroyed_once(receipts: Sequence[dict[str, Any]], people: Sequence[Any]) -> None:
    """Assert that every participant is done, and that storage reports one data key of each person."""
    app = people[0].app
    for receipt in _some(receipts):
        status = (await app.erasure(receipt["erasure_id"], receipt["status_token"])).document
        parts = {part["service"]: part for part in status["participants"]}
        assert {part["status"] for part in parts.values()} == {"completed"}
        assert parts["storage"]["erased"]["data_keys"] == 1


def _some(things: Sequence[T]) -> Sequence[T]:
    """Return at most so many, spread over all: whatever is stored is searched for each in every spelling."""
    return things[:: max(1, len(things) // SEARCHED)][:SEARCHED]


async def broker_loses_everything(
    stage: Any, new_person: Make, many: Many, jpeg: bytes, *, erasures: int, withdrawals: int, seconds: float
) -> float:
    """R6: the broker's disk is gone with everything that storage has not heard of yet."""
    leaving = await many(lambda _: new_person(), range(erasures))
    photos = await many(lambda person: with_pictures(person, jpeg, 1), leaving[:withdrawals])
    withdrawing = await many(lambda _: new_person(), range(withdrawals))
    withdrawn = await many(lambda person: with_pictures(person, jpeg, 1), withdrawing)
    await _quiet(stage)
    stage.cluster.stop("storage-worker")
    answers = await many(lambda person: person.app.withdraw(person.consent_id), withdrawing)
    assert {answer.status for answer in answers} == {200}
    receipts = await many(lambda person: person.ask_to_be_erased(), leaving)
    await _quiet(stage, "identity", "consent")
    # All of it was confirmed, and lies nowhere but on the broker's disk.
    assert await _messages_in(stage, "storage.erase-user") >= erasures
    stage.cluster.stop("rabbitmq")
    stage.cluster.wipe_broker()
    stage.cluster.up()
    took = await all_completed(stage, receipts, seconds=seconds)

    async def destroyed() -> None:
        await pictures_are_gone(stage, [photo for one in withdrawn for photo in one])

    await eventually(destroyed, seconds=seconds)
    await nothing_is_left(stage, leaving, [photo for one in photos for photo in one])
    await stage.cluster.until_ready()
    return took


async def storage_is_killed(
    stage: Any, new_person: Make, many: Many, jpeg: bytes, *, people: int, pictures: int, kills: int
) -> float:
    """R10: storage's worker is killed again and again while people are erased; returns the seconds after."""
    leaving = await many(lambda _: new_person(), range(people))
    photos = await many(lambda person: with_pictures(person, jpeg, pictures), leaving)
    begun = await stage.count(_TAKEN_ON)
    asking: list[asyncio.Future[list[Any]]] = []
    for kill in range(kills):
        await stage.cluster.until_ready("storage-worker")
        least = max(begun, await stage.count(_TAKEN_ON))
        some = leaving[kill::kills]
        asking.append(asyncio.ensure_future(many(lambda person: person.ask_to_be_erased(), some)))

        async def more_has_begun(least: int = least) -> None:
            assert await stage.count(_TAKEN_ON) > least

        await eventually(more_has_begun, seconds=TURN_SECONDS)
        stage.cluster.kill("storage-worker")
    receipts = [receipt for asked in asking for receipt in await asked]
    took = await all_completed(stage, receipts, seconds=300)
    assert await stage.count("SELECT count(*) FROM storage.dead_letters") == 0
    await each_key_is_destroyed_once(receipts, leaving)
    await nothing_is_left(stage, leaving, [photo for one in photos for photo in one])
    await stage.cluster.until_ready()
    return took


async def store_is_away(
    stage: Any, new_person: Make, many: Many, jpeg: bytes, *, people: int, seconds: float
) -> float:
    """R21: the object store is down for so long; returns the seconds after its return."""
    leaving = await many(lambda _: new_person(), range(people))
    photos = await many(lambda person: with_pictures(person, jpeg, 1), leaving)
    with stage.without("s3"):
        until = time.monotonic() + seconds
        receipts = await many(lambda person: person.ask_to_be_erased(), leaving)
        ids = ids_of(receipts)

        async def tried_in_vain() -> None:
            attempts = (
                "SELECT count(*) FROM storage.erasure_tasks WHERE erasure_id = ANY ($1) AND attempts > 1"
            )
            assert time.monotonic() >= until
            assert await stage.count(attempts, ids) > 0

        await eventually(tried_in_vain, seconds=seconds + TURN_SECONDS)
        assert await stage.count(OPEN_ERASURES, ids) == people, (
            "an erasure is called complete without the store"
        )
    took = await all_completed(stage, receipts, seconds=300)
    parts = (
        "SELECT count(*) FROM identity.erasure_participants WHERE erasure_id = ANY ($1) AND erased IS NULL"
    )
    assert await stage.count(parts, ids) == 0
    await nothing_is_left(stage, leaving, [photo for one in photos for photo in one])
    await stage.cluster.until_ready()
    return took


async def deletion_races(stage: Any, new_person: Make, many: Many, jpeg: bytes, *, people: int) -> None:
    """R27: whoever deletes an account signs in, refreshes and uploads in the same moment."""
    everybody = await many(lambda _: new_person(), range(people))
    raced = await many(lambda person: _race(person, jpeg), everybody)
    await all_completed(stage, [one.receipt for one in raced], seconds=300)
    for one in raced:
        await _nothing_works(one)
    await nothing_is_left(stage, everybody, [photo for one in raced for photo in one.photos])


@dataclass
class Raced:
    """Who has deleted their account, and everything that they were given beside it."""

    person: Any
    receipt: dict[str, Any] = field(default_factory=dict)
    tokens: list[tuple[str, str]] = field(default_factory=list)
    photos: list[dict[str, Any]] = field(default_factory=list)


async def _race(person: Any, jpeg: bytes) -> Raced:
    await person.agree()
    raced = Raced(person, tokens=[(person.app.access_token, person.app.refresh_token)])

    async def upload() -> None:
        link = await person.app.ask_to_upload()
        if link.status == 201:
            raced.photos.append({"id": link.document["photo_id"], "s3_key": link.document["s3_key"]})
            put = await person.app.put(link.document["upload_url"], jpeg)
            assert put.status in {200, 401, 403, 404, 410}, put.body

    async def delete(bearer: str) -> None:
        answer = await person.app.call("DELETE", "/users/me", bearer=bearer, json={"confirm": True})
        assert answer.status == 200, answer.body
        raced.receipt = answer.document
        # The very next call, while the account may still be there to be erased.
        assert (await person.app.call("GET", "/users/me", bearer=bearer)).status == ENDED

    *answers, _, _, _ = await asyncio.gather(
        person.app.login(person.email, person.password),
        person.app.refresh(),
        delete(person.app.access_token),
        upload(),
        upload(),
    )
    for answer in answers:
        assert answer.status in {200, ENDED}, answer.body
        if answer.status == 200:
            raced.tokens.append((answer.document["access_token"], answer.document["refresh_token"]))
    await _nothing_works(raced)
    return raced


async def _nothing_works(raced: Raced) -> None:
    app = raced.person.app
    for access, refresh in raced.tokens:
        assert (await app.call("GET", "/users/me", bearer=access)).status == ENDED
        assert (await app.refresh(refresh)).status == ENDED
    assert (await app.login(raced.person.email, raced.person.password)).status == ENDED


async def _quiet(stage: Any, *schemas: str) -> None:
    """Wait until what these services, or all, have announced lies with the broker."""

    async def empty() -> None:
        for schema in schemas or ("identity", "consent", "storage"):
            assert await stage.count(f"SELECT count(*) FROM {schema}.outbox") == 0

    await eventually(empty, seconds=TURN_SECONDS)


async def _messages_in(stage: Any, queue: str) -> int:
    headers = {"Authorization": aiohttp.encode_basic_auth(ADMIN, stage.values["RABBITMQ_ADMIN_PASSWORD"])}
    url = f"http://127.0.0.1:{stage.values['RABBITMQ_MANAGEMENT_PORT']}/api/queues/{VHOST}/{queue}/get"
    # Looked at and put back, because the counters that the pages show are some seconds old.
    body = {"count": 100_000, "ackmode": "ack_requeue_true", "encoding": "auto", "truncate": 1}
    async with aiohttp.ClientSession(headers=headers) as http, http.post(url, json=body) as answer:
        answer.raise_for_status()
        return len(await answer.json())

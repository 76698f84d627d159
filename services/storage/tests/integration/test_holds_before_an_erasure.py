"""A held photo outlives a withdrawal, a deletion and a consent: unread, and until the hold ends."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from chassis.holds import Hold
from chassis.ids import new_id
from contracts.identity import HoldChanged, UserDeleted
from storage.use_cases import follow_hold as follow_hold_module
from storage.use_cases.follow_hold import reconcile_holds, release_held_photos
from storage.use_cases.reconcile_objects import reconcile_objects
from support.erasures import work_on_erasures

DAYS = timedelta(days=90)


@pytest.fixture
def hold_on(clock):
    """Return a function that makes the announcement of a hold on a person's photo, or on all."""

    def make(person, photo=None, **changes):
        said = {
            "user_id": person.id,
            "hold_id": new_id(),
            "service": "storage",
            "kind": "photos",
            "record": photo and UUID(photo["id"]),
            "expires_at": clock.now() + DAYS,
            "ended_at": None,
            **changes,
        }
        return HoldChanged(**said)

    return make


@pytest.fixture
def left(service, ada):
    """Return a function that tells how many keys and objects there are of ada, when what is due is done."""

    async def _left():
        while await service.destroyer.work_once():
            continue
        keys, objects = await service.vault.count_keys([ada.id]), await service.vault.count_objects([ada.id])
        return keys[ada.id], objects[ada.id]

    return _left


@pytest.fixture
def gone(announced):
    """Return a function that lists the photos whose destruction was announced, and why."""

    async def _gone():
        events = await announced()
        return [(it["photo_id"], it["reason"]) for it in events if it["type"] == "storage.photo.deleted.v1"]

    return _gone


async def nobody_reads(person, photo):
    assert (await person.read(photo["original_url"])).status_code in {403, 410}
    assert (await person.call("GET", f"/{photo['id']}")).status_code == 404
    assert (await person.call("DELETE", f"/{photo['id']}")).status_code == 404
    assert photo["id"] not in [it["id"] for it in (await person.call("GET")).json()["items"]]


@pytest.mark.parametrize("how", ["withdrawal", "user"])
async def test_what_is_held_is_read_by_nobody_and_goes_when_it_is_released(
    ada, consent, pictures, deliver, hold_on, left, gone, how
) -> None:
    held, other = [await ada.upload(pictures.jpeg()) for _ in range(2)]
    hold = hold_on(ada, held)
    await deliver(hold)
    assert (await ada.read(held["original_url"])).status_code == 200
    if how == "withdrawal":
        await deliver(consent.withdraw(ada.id))
    else:
        for photo in (held, other):
            assert (await ada.call("DELETE", f"/{photo['id']}")).status_code == 204
    assert await left() == (1, 2)
    assert await gone() == [(other["id"], how)]
    await nobody_reads(ada, held)
    await deliver(hold.model_copy(update={"ended_at": hold.expires_at - DAYS / 2}))
    assert await left() == (1, 0)
    assert await gone() == [(other["id"], how), (held["id"], how)]


async def test_a_new_consent_does_not_bring_back_what_is_only_held(
    ada, consent, pictures, deliver, hold_on, left
) -> None:
    held = await ada.upload(pictures.jpeg())
    await deliver(hold_on(ada))
    await deliver(consent.withdraw(ada.id))
    await deliver(consent.grant(ada.id))
    await nobody_reads(ada, held)
    assert await left() == (1, 2)


async def test_a_hold_ends_by_the_clock_although_nobody_says_so(
    ada, consent, service, pictures, deliver, hold_on, left, gone, clock
) -> None:
    held = await ada.upload(pictures.jpeg())
    for hold in (hold_on(ada, held), hold_on(ada, held, expires_at=clock.now() + DAYS / 2)):
        await deliver(hold)
    await deliver(consent.withdraw(ada.id))
    clock.advance(DAYS * 2 / 3)
    # Of two holds both have to end.
    assert await release_held_photos(service.database) == 0
    assert await left() == (1, 2)
    clock.advance(DAYS / 2)
    assert await release_held_photos(service.database) == 1
    assert await left() == (1, 0)
    assert await gone() == [(held["id"], "withdrawal")]


async def test_an_end_that_overtakes_its_hold_keeps_nothing(
    ada, consent, pictures, deliver, hold_on, left
) -> None:
    held = await ada.upload(pictures.jpeg())
    hold = hold_on(ada, held)
    await deliver(hold.model_copy(update={"ended_at": hold.expires_at - DAYS / 2}))
    await deliver(hold)
    await deliver(consent.withdraw(ada.id))
    assert await left() == (1, 0)


async def test_lost_messages_are_made_good_by_asking(
    ada, consent, service, pictures, deliver, hold_on, left, clock
) -> None:
    held, other = [await ada.upload(pictures.jpeg()) for _ in range(2)]
    await deliver(hold_on(ada, other))
    clock.advance(timedelta(seconds=1))
    standing = {ada.id: [Hold(new_id(), "photos", UUID(held["id"]), clock.now() + DAYS)]}

    async def listed():
        return standing

    await reconcile_holds(service.database, listed)
    await deliver(consent.withdraw(ada.id))
    assert await left() == (1, 2)
    standing = {}
    clock.advance(timedelta(seconds=1))
    await reconcile_holds(service.database, listed)
    assert await release_held_photos(service.database) == 1
    assert await left() == (1, 0)


async def test_the_bucket_is_in_order_with_what_is_held(
    ada, consent, service, pictures, deliver, hold_on, left, clock
) -> None:
    await ada.upload(pictures.jpeg())
    await deliver(hold_on(ada))
    await deliver(consent.withdraw(ada.id))
    report = await reconcile_objects(
        service.database, service.vault, settled_by=clock.now() + timedelta(days=1), most_removed=None
    )
    assert report.in_order
    # Else its objects would have been taken for orphans.
    assert await left() == (1, 2)


@pytest.mark.parametrize("still", [True, False])
async def test_the_erasure_goes_by_its_own_holds(
    ada, consent, service, pictures, deliver, hold_on, left, gone, clock, participation, still
) -> None:
    held = await ada.upload(pictures.jpeg())
    hold = hold_on(ada, held)
    await deliver(hold)
    await deliver(consent.withdraw(ada.id))
    stated = {name: value for name, value in vars(hold).items() if name not in {"user_id", "ended_at"}}
    deletion = UserDeleted(
        user_id=ada.id,
        erasure_id=new_id(),
        requested_at=clock.now(),
        deadline=clock.now() + DAYS,
        holds=(stated,) if still else (),
    )
    await deliver(deletion)
    await work_on_erasures(participation, service.database)
    clock.advance(DAYS * 2)
    # What is the erasure's is announced by its report alone.
    assert await release_held_photos(service.database) == 0
    assert await left() == ((1, 2) if still else (0, 0))
    assert await gone() == []


async def test_people_whose_erasures_are_under_way_keep_nobody_turning(
    ada, consent, service, pictures, deliver, hold_on, clock, monkeypatch
) -> None:
    held = await ada.upload(pictures.jpeg())
    await deliver(hold_on(ada, held))
    await deliver(consent.withdraw(ada.id))
    clock.advance(DAYS * 2)
    async with service.unit_of_work() as uow:
        await uow.add_tombstone(ada.id, erasure_id=new_id())
    monkeypatch.setattr(follow_hold_module, "BATCH", 1)
    async with asyncio.timeout(5):
        assert await release_held_photos(service.database) == 0

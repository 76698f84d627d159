"""Ways in which storage's report could lie: what is in no table, what comes late, what was going anyway."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func

from chassis.holdings import Holdings
from contracts.identity import UserDeleted
from storage.holdings import HOLDINGS
from storage.models import Photo
from support.erasures import work_on_erasures

NOTHING = {
    "photos": 0,
    "objects": 0,
    "data_keys": 0,
    "consents": 0,
    "unfinished_deletions": 0,
    "usage_counts": 0,
    "standing_holds": 0,
    "photo_reads": 0,
    "exports": 0,
}


@pytest.fixture
def ask_to_erase(clock, deliver) -> Callable[[Any], Awaitable[None]]:
    async def asked(person) -> None:
        now = clock.now()
        deadline = now + timedelta(days=30)
        await deliver(UserDeleted(user_id=person.id, erasure_id=uuid4(), requested_at=now, deadline=deadline))

    return asked


@pytest.fixture
def work(service, participation, announced):
    """Go on with what was asked, as far as it goes; return what was reported, or None."""

    async def worked() -> dict[str, int] | None:
        async with service.unit_of_work() as uow:
            tasks = uow.tables.erasure_tasks
            await uow.session.execute(tasks.update().values(next_attempt_at=func.clock_timestamp()))
        await work_on_erasures(participation, service.database)
        reports = [it["erased"] for it in await announced() if it["type"] == "storage.erasure.reported.v1"]
        return reports[-1] if reports else None

    return worked


@pytest.fixture
def erase(ask_to_erase, work):
    """Erase a person as far as it goes; return what was reported, or None."""

    async def erased(person) -> dict[str, int] | None:
        await ask_to_erase(person)
        return await work()

    return erased


async def held(service, person) -> dict[str, int]:
    return (await Holdings(service, HOLDINGS).count([person.id]))[person.id]


async def test_ce01_object_without_a_row_is_counted_and_destroyed(ada, service, pictures, erase) -> None:
    await ada.upload(pictures.jpeg())
    async with service.unit_of_work() as uow:
        await uow.session.execute(Photo.__table__.delete())

    reported = await erase(ada)

    assert reported is not None
    assert (reported["photos"], reported["objects"]) == (0, 2)
    assert await held(service, ada) == NOTHING


async def test_ce03_read_in_flight_writes_nothing_about_who_was_erased_meanwhile(
    ada, consent, service, pictures, erase
) -> None:
    """A read asks consent, and notes what it hears: here the answer is news, and comes after the report."""
    photo = await ada.upload(pictures.jpeg())
    consent.withdraw(ada.id)
    consent.grant(ada.id)
    reported = []

    async def erased_meanwhile() -> None:
        consent.before_answer = None
        reported.append(await erase(ada))

    consent.before_answer = erased_meanwhile
    answer = await ada.read(photo["original_url"])

    assert reported[0] is not None
    assert answer.status_code in {401, 403, 410}
    assert await held(service, ada) == NOTHING


async def test_ce07_thumbnail_of_a_photo_that_was_deleted_before_is_destroyed_and_counted(
    ada, service, pictures, ask_to_erase, work, road
) -> None:
    photo = await ada.upload(pictures.jpeg())
    road.cut()
    assert (await ada.call("DELETE", f"/{photo['id']}")).status_code == 204
    await ask_to_erase(ada)
    assert await work() is None
    road.mend()

    reported = await work()

    assert reported is not None
    assert (reported["photos"], reported["objects"], reported["unfinished_deletions"]) == (0, 2, 1)
    assert await held(service, ada) == NOTHING


async def test_ce08_version_that_a_later_one_has_covered_is_destroyed_and_counted(
    ada, settings, pictures, erase, operator, versioned
) -> None:
    bucket = settings.s3_bucket
    photo = await ada.upload(pictures.jpeg())
    folder = photo["s3_key"].split("/", 1)[0] + "/"
    await operator.put_object(Bucket=bucket, Key=photo["s3_key"], Body=b"written over")
    await operator.delete_object(Bucket=bucket, Key=photo["s3_key"])

    reported = await erase(ada)

    assert reported is not None
    assert reported["objects"] >= 3
    left = await operator.list_object_versions(Bucket=bucket, Prefix=folder)
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")

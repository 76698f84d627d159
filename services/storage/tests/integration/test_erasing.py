"""Erasure: objects of every kind, rows and key go; nothing is reported before, nothing returns after."""

import os
import random
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from chassis.holdings import Holdings
from chassis.sealing import SealBroken
from cluster.environment import KEYRING_DATABASE
from contracts.fields import AuthProvider
from contracts.identity import UserDeleted, UserRegistered
from storage.holdings import HOLDINGS
from storage.models import Destruction, Photo
from storage.policy import Rendition
from storage.sealing import ObjectLabel, unseal
from storage.vault import KeyMissing, PhotoLocation
from support import FrozenClock
from support.erasures import work_on_erasures


def deletion_of(person, clock: FrozenClock) -> UserDeleted:
    now = clock.now()
    return UserDeleted(
        user_id=person.id, erasure_id=uuid4(), requested_at=now, deadline=now + timedelta(days=30)
    )


def registration_of(person, clock: FrozenClock) -> UserRegistered:
    return UserRegistered(user_id=person.id, auth_provider=AuthProvider.EMAIL, registered_at=clock.now())


async def left(service, person) -> int:
    return (await service.vault.count_objects([person.id]))[person.id]


@pytest.fixture
def reports(announced):
    async def _reports() -> list[dict]:
        return [event for event in await announced() if event["type"] == "storage.erasure.reported.v1"]

    return _reports


@pytest.fixture
def work(participation, service):
    """Try every open erasure once, due or not."""

    async def _work() -> None:
        async with service.unit_of_work() as uow:
            tasks = uow.tables.erasure_tasks
            await uow.session.execute(tasks.update().values(next_attempt_at=func.clock_timestamp()))
        await work_on_erasures(participation, service.database)

    return _work


async def test_everything_goes_and_is_counted(
    ada, clock, service, pictures, deliver, work, announced, reports
) -> None:
    await deliver(registration_of(ada, clock))
    for _ in range(2):
        await ada.upload(pictures.jpeg())
    await ada.ticket()
    await open_upload(service, ada)
    event = deletion_of(ada, clock)
    await deliver(event)
    await work()
    assert await left(service, ada) == 0
    (report,) = await reports()
    assert report["erasure_id"] == str(event.erasure_id)
    assert report["erased"] == {
        "photos": 3, "objects": 5, "data_keys": 1, "consents": 1, "unfinished_deletions": 0,
        "usage_counts": 1, "photo_reads": 0, "exports": 0, "standing_holds": 0
    }  # fmt: skip
    assert "storage.photo.deleted.v1" not in {event["type"] for event in await announced()}


async def test_somebody_of_whom_nothing_is_held_is_reported_too(
    stranger, clock, deliver, work, reports
) -> None:
    await deliver(deletion_of(stranger, clock))
    await work()
    assert set((await reports())[0]["erased"].values()) == {0}


async def test_nothing_of_the_person_is_left_in_any_table(
    platform, ada, clock, service, pictures, deliver, work, consent
) -> None:
    await deliver(registration_of(ada, clock))
    await ada.upload(pictures.jpeg())
    withdrawal = consent.withdraw(ada.id)
    await deliver(withdrawal)
    await deliver(deletion_of(ada, clock))
    await work()
    async with service.unit_of_work() as uow:
        await uow.session.execute(uow.tables.outbox.delete())
    for database in ("irisvue", KEYRING_DATABASE):
        connection = await platform.connect_as_admin(database)
        schema = "storage" if database == "irisvue" else "keyring"
        try:
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
            assert tables
            for (table,) in tables:
                rows = await connection.fetch(f'SELECT t::text FROM {schema}."{table}" t')
                assert not any(str(ada.id) in row[0] for row in rows), table
        finally:
            await connection.close()


async def test_r21_nothing_is_reported_while_the_store_is_down(
    ada, clock, service, pictures, deliver, work, reports, road
) -> None:
    photo = await ada.upload(pictures.jpeg())
    road.cut()
    await deliver(deletion_of(ada, clock))
    await work()
    assert await reports() == []
    assert (await ada.read(photo["original_url"])).status_code == 410
    road.mend()
    await work()
    assert await left(service, ada) == 0
    assert (await reports())[0]["erased"]["objects"] == 2


async def test_it_is_never_reported_while_something_resists(
    ada, clock, service, pictures, deliver, work, reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ada.upload(pictures.jpeg())

    async def pretend(_people: Sequence[UUID]) -> None:
        return

    with monkeypatch.context() as patch:
        patch.setattr(service.vault, "empty_people", pretend)
        await deliver(deletion_of(ada, clock))
        await work()
        assert await reports() == []
    await work()
    assert len(await reports()) == 1


async def test_r22_store_that_fails_now_and_then_only_delays(
    ada, clock, service, pictures, deliver, work, reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ada.upload(pictures.jpeg())
    await open_upload(service, ada)
    client, dice = service.vault._objects._client, random.Random(7)

    def fail_often(operation):
        async def flaky(**parameters):
            if dice.random() < 0.3:
                raise ConnectionResetError
            return await operation(**parameters)

        return flaky

    await deliver(deletion_of(ada, clock))
    with monkeypatch.context() as patch:
        for name in (
            "list_object_versions",
            "list_multipart_uploads",
            "delete_objects",
            "abort_multipart_upload",
        ):
            patch.setattr(client, name, fail_often(getattr(client, name)))
        for _ in range(100):
            await work()
            if await reports():
                break
    assert (await reports())[0]["erased"]["objects"] == 3
    assert await left(service, ada) == 0


async def test_after_an_erasure_nothing_begins_again(
    ada, clock, service, pictures, deliver, work, consent, announced
) -> None:
    ticket = await ada.ticket()
    photo = await ada.upload(pictures.jpeg())
    await deliver(deletion_of(ada, clock))
    await work()
    before = await announced()
    assert (await ada.call("POST", "/upload")).status_code == 401
    assert (await ada.put(ticket, pictures.jpeg())).status_code == 410
    assert (await ada.read(photo["original_url"])).status_code == 410
    await deliver(registration_of(ada, clock))
    await deliver(consent.grant(ada.id))
    await deliver(consent.withdraw(ada.id))
    assert await announced() == before
    assert (await Holdings(service, HOLDINGS).count([ada.id]))[ada.id] == {
        "photos": 0, "objects": 0, "data_keys": 0, "consents": 0, "unfinished_deletions": 0,
        "usage_counts": 0, "photo_reads": 0, "exports": 0, "standing_holds": 0
    }  # fmt: skip


async def test_links_are_dead_as_soon_as_the_erasure_has_begun(ada, clock, pictures, deliver) -> None:
    ticket = await ada.ticket()
    photo = await ada.upload(pictures.jpeg())
    await deliver(deletion_of(ada, clock))
    assert (await ada.read(photo["original_url"])).status_code == 410
    assert (await ada.put(ticket, pictures.jpeg())).status_code == 410
    assert (await ada.call("POST", "/upload")).status_code == 401


async def test_an_upload_in_flight_is_refused_and_leaves_nothing(
    ada, clock, service, pictures, deliver, work, reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await ada.ticket()
    put = service.vault.put

    async def put_and_erase(place, renditions) -> None:
        await put(place, renditions)
        await deliver(deletion_of(ada, clock))
        await work()
        assert len(await reports()) == 1
        # The store may show a late write only now.
        await service.vault._objects.upload(place.key(Rendition.ORIGINAL), b"late")

    monkeypatch.setattr(service.vault, "put", put_and_erase)
    assert (await ada.put(ticket, pictures.jpeg())).status_code == 410
    assert await left(service, ada) == 0


async def test_a_write_that_lands_after_the_erasure_is_swept(
    ada, clock, service, pictures, deliver, work
) -> None:
    photo = await ada.upload(pictures.jpeg())
    await deliver(deletion_of(ada, clock))
    await work()
    await service.vault._objects.upload(photo["s3_key"], b"late")
    await open_upload(service, ada)
    assert await service.destroyer.work_once() == 0
    async with service.unit_of_work() as uow:
        planned = (await uow.session.scalars(select(Destruction.next_attempt_at))).all()
        assert len(planned) == 2
        await uow.session.execute(
            Destruction.__table__.update().values(next_attempt_at=func.clock_timestamp())
        )
    assert await service.destroyer.work_once() == 2
    assert await left(service, ada) == 0


async def test_a_copy_of_the_sealed_bytes_can_not_be_opened_any_more(
    ada, clock, service, pictures, deliver, work
) -> None:
    photo = await ada.upload(pictures.jpeg())
    async with service.unit_of_work() as uow:
        place = PhotoLocation.of(await uow.session.get(Photo, photo["id"]))
    copy = await service.vault._objects.download(place.key(Rendition.ORIGINAL), most_bytes=10**6)
    await deliver(deletion_of(ada, clock))
    await work()
    assert await service.vault.count_keys([ada.id]) == {ada.id: 0}
    with pytest.raises(SealBroken):
        unseal(copy, data_key=os.urandom(32), label=ObjectLabel(ada.id, f"{photo['id']}/original", 1))


async def test_erasing_again_is_harmless_and_touches_nobody_else(
    ada, stranger, clock, service, pictures, deliver, work, consent, reports
) -> None:
    consent.grant(stranger.id)
    await ada.upload(pictures.jpeg())
    kept = await stranger.upload(pictures.jpeg())
    for _ in range(2):
        await deliver(deletion_of(ada, clock))
        await work()
    assert len(await reports()) == 2
    assert (await stranger.read(kept["original_url"])).status_code == 200
    assert await left(service, stranger) == 2


async def test_a_key_is_opened_once_and_never_for_somebody_erased(ada, clock, service, deliver) -> None:
    first = await service.vault.open_key(ada.id)
    await deliver(registration_of(ada, clock))
    assert await service.vault.open_key(ada.id) == first
    await service.vault.destroy_keys([ada.id])
    await deliver(registration_of(ada, clock))
    assert await service.vault.count_keys([ada.id]) == {ada.id: 0}


async def test_without_a_key_nothing_can_be_read(ada, service, pictures) -> None:
    photo = await ada.upload(pictures.jpeg())
    await service.vault.destroy_keys([ada.id])
    assert (await ada.read(photo["original_url"])).status_code == 410
    assert KeyMissing.__mro__[1] is Exception


async def open_upload(service, person) -> None:
    """Leave a multipart upload unfinished in the person's folder."""
    store = service.vault._objects
    key = f"{service.vault.folder_of_person(person.id)}{uuid4()}/original"
    begun = await store._client.create_multipart_upload(
        Bucket=store._bucket, Key=key, ServerSideEncryption="AES256"
    )
    await store._client.upload_part(
        Bucket=store._bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"part"
    )

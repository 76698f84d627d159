"""The bucket and the photos are compared both ways: orphans go, missing objects are named, the rest stays."""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psutil
import pytest
from sqlalchemy import delete, update

from chassis.ids import new_id
from chassis.object_store_faults import BucketNotFound, ObjectStoreRefused
from storage.models import Photo
from storage.policy import Rendition
from storage.repositories import FeedPositions
from storage.use_cases import reconcile_objects as module
from storage.use_cases.reconcile_in_turn import reconcile_in_turn
from storage.use_cases.reconcile_objects import BucketReport, reconcile_objects
from storage.vault import PhotoLocation

SETTLED = timedelta(minutes=1)
DAY = timedelta(days=1)
MANY = 100_000
MOST_BYTES_MORE = 48 * 1024 * 1024
PUTS_AT_ONCE = 24
PHOTOS = """
    INSERT INTO storage.photos (id, user_id, s3_key, declared_type, consent_id, consent_epoch,
        upload_token_hash, upload_expires_at, received_at, received_bytes, content_type, width, height,
        sealed_version, confirmed_at, created_at, updated_at)
    SELECT id, $1, $2 || id || '/1/original', 'image/jpeg', id, 1, repeat('0', 64),
        $4, $4, 1, 'image/jpeg', 1, 1, 1, $4, $4, $4
    FROM unnest($3::uuid[]) AS id
"""


@pytest.fixture
async def service(service):
    """Storage with a bucket that holds nothing of other tests."""
    left = [entry async for entry in service.vault.entries()]
    for first in range(0, len(left), 1000):
        await service.vault.remove(left[first : first + 1000])
    return service


@pytest.fixture
def compare(service):
    """Compare the bucket with the photos; everything there is old enough unless said otherwise."""

    async def _compare(*, settled_by=None, **options) -> BucketReport:
        settled = settled_by or datetime.now(UTC) + SETTLED
        return await reconcile_objects(service.database, service.vault, settled_by=settled, **options)

    return _compare


@pytest.fixture
def put(service):
    """Write an object where the code that is tested would not."""

    async def _put(key: str) -> str:
        await service.vault._objects.upload(key, b"sealed")
        return key

    return _put


async def keys_of(service) -> list[str]:
    return [entry.key async for entry in service.vault.entries()]


async def test_where_all_is_in_order_nothing_is_touched(ada, grace, pictures, service, compare) -> None:
    for person in (ada, grace, ada):
        await person.upload(pictures.plain_jpeg())
    await ada.ticket()
    before = await keys_of(service)
    report = await compare()
    assert (report.photos, report.objects, report.orphans, report.missing, report.others) == (3, 6, 0, 0, 0)
    assert report.in_order
    assert await keys_of(service) == before


async def test_objects_without_a_photo_go_and_no_others(ada, pictures, service, compare, put) -> None:
    photo = await ada.upload(pictures.plain_jpeg())
    kept = await keys_of(service)
    folder = photo["s3_key"].removesuffix("1/original")
    orphans = [
        # What an attempt left that another one overtook, and early photos, which had no folder for each.
        f"{folder}2/original",
        f"{folder}original",
        f"{service.vault.folder_of_photo(ada.id, new_id())}1/thumbnail",
        # Of somebody of whom there is nothing else.
        f"{service.vault.folder_of_photo(new_id(), new_id())}1/original",
    ]
    for key in orphans:
        await put(key)
    others = [await put(f"{folder}1/mask"), await put("export/1")]
    counted = await compare(most_removed=0)
    assert (counted.orphans, counted.removed, counted.in_order) == (4, 0, False)
    report = await compare()
    assert (report.orphans, report.removed, report.others) == (4, 4, 2)
    assert await keys_of(service) == sorted([*kept, *others])
    assert (await ada.read(photo["original_url"])).status_code == 200


async def test_pieces_stay_as_long_as_their_photo_is_begun(ada, service, compare, put) -> None:
    ticket = await ada.ticket()
    begun = await put(f"{service.vault.folder_of_photo(ada.id, UUID(ticket['photo_id']))}parts/0-1")
    await put(f"{service.vault.folder_of_photo(ada.id, new_id())}parts/0-1")
    report = await compare()
    assert (report.orphans, report.removed, report.others) == (1, 1, 0)
    assert await keys_of(service) == [begun]


async def test_what_is_young_may_be_an_upload_and_stays(ada, service, compare, put) -> None:
    key = await put(f"{service.vault.folder_of_photo(ada.id, new_id())}1/original")
    report = await compare(settled_by=datetime.now(UTC) - timedelta(hours=1))
    assert (report.orphans, report.removed) == (0, 0)
    assert await keys_of(service) == [key]


async def test_an_orphan_that_a_photo_needs_by_now_stays(
    ada, pictures, service, compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = await ada.upload(pictures.plain_jpeg())
    before, pages = await keys_of(service), module._Comparison._page

    async def seen_before_it_came(self, after):
        return [] if after == "" else await pages(self, after)

    monkeypatch.setattr(module._Comparison, "_page", seen_before_it_came)
    report = await compare()
    assert (report.orphans, report.removed) == (0, 0)
    assert await keys_of(service) == before
    assert (await ada.read(photo["original_url"])).status_code == 200


async def test_missing_objects_are_named_and_deleted_photos_are_not_missing(
    ada, pictures, service, compare
) -> None:
    lost, deleted, known = [await ada.upload(pictures.plain_jpeg()) for _ in range(3)]
    store = service.vault._objects
    for photo in (lost, deleted, known):
        await store.delete_everything(photo["s3_key"])
    async with service.unit_of_work() as uow:
        await uow.session.execute(delete(Photo).where(Photo.id == UUID(deleted["id"])))
        found = update(Photo).where(Photo.id == UUID(known["id"]))
        await uow.session.execute(found.values(lost_at=service.clock.now()))
    report = await compare(most_removed=0)
    assert (report.missing, report.named, report.in_order) == (1, [UUID(lost["id"])], False)


async def test_of_an_erased_person_nothing_is_left(ada, pictures, service, compare, put) -> None:
    await ada.upload(pictures.plain_jpeg())
    async with service.unit_of_work() as uow:
        await uow.add_tombstone(ada.id)
        await uow.session.execute(delete(Photo).where(Photo.user_id == ada.id))
    assert (await compare()).removed == 2
    assert await service.vault.count_objects([ada.id]) == {ada.id: 0}


async def test_unasked_only_so_many_are_removed(service, compare, put) -> None:
    for _ in range(5):
        await put(f"{service.vault.folder_of_photo(new_id(), new_id())}1/original")
    report = await compare(most_removed=3)
    assert (report.orphans, report.removed, report.in_order) == (5, 3, False)
    assert (await compare(most_removed=None)).removed == 2


async def test_pages_of_both_sides_end_anywhere(
    ada, pictures, service, compare, put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    monkeypatch.setattr(service.vault._objects, "_page_size", 3)
    for _ in range(5):
        await ada.upload(pictures.plain_jpeg())
        await put(f"{service.vault.folder_of_photo(ada.id, new_id())}1/original")
    told = []
    report = await compare(tell=lambda so_far: told.append(so_far.objects))
    assert (report.photos, report.objects, report.orphans, report.removed) == (5, 15, 5, 5)
    assert len(await keys_of(service)) == 10
    assert told[-1] == 15


async def test_a_bucket_that_is_gone_is_no_bucket_without_objects(
    ada, pictures, service, compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ada.upload(pictures.plain_jpeg())
    monkeypatch.setattr(service.vault._objects, "_bucket", "irisvue-nowhere")
    with pytest.raises((BucketNotFound, ObjectStoreRefused)):
        await compare()


async def test_workers_take_turns_and_a_failure_gives_the_turn_back(
    ada, pictures, service, road, clock
) -> None:
    await ada.upload(pictures.plain_jpeg())

    async def once() -> BucketReport | None:
        return await reconcile_in_turn(service.database, service.vault, every=DAY, unsettled=SETTLED)

    road.cut()
    with pytest.raises(Exception, match="object store"):
        await once()
    road.mend()
    assert (await once()).objects == 2
    assert await once() is None
    async with service.unit_of_work() as uow:
        # The position of the feed of consents is another row.
        assert await FeedPositions(uow.session).current() == 0
    clock.advance(DAY)
    assert (await once()).objects == 2


async def test_command_reports_and_fails_where_something_is_missing(
    platform, service, ada, pictures, consent, put
) -> None:
    photo = await ada.upload(pictures.plain_jpeg())
    await service.vault._objects.delete_everything(f"{photo['s3_key'].removesuffix('original')}thumbnail")
    await put("other/1")
    async with service.unit_of_work() as uow:
        row = await uow.session.get(Photo, UUID(photo["id"]))
        row.received_at = datetime.now(UTC) - DAY
    command = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "storage",
        "reconcile",
        "--only=objects",
        env=platform.environment("storage") | {"STORAGE_CONSENT_URL": consent.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, progress = await command.communicate()
    assert command.returncode == 1
    # The log names the photo as well.
    assert [line for line in said.decode().splitlines() if not line.startswith("{")] == [
        "of erased people no row and no data key is left",
        "1 photos have bytes, and the bucket has 2 versions of objects",
        "0 of 0 orphans were removed; 1 are of no photo",
        "1 objects are missing",
        f"  missing: an object of photo {photo['id']}",
    ]
    assert b"2 versions seen, 0 removed" in progress


@pytest.mark.chaos
async def test_a_hundred_thousand_objects_in_bounded_memory(platform, ada, service, compare) -> None:
    photos = [new_id() for _ in range(MANY // 2)]
    folder = service.vault.folder_of_person(ada.id)
    connection = await platform.connect_as_admin()
    await connection.execute(PHOTOS, ada.id, folder, photos, service.clock.now())
    await connection.execute("ANALYZE storage.photos")
    await connection.close()
    store, turn = service.vault._objects, asyncio.Semaphore(PUTS_AT_ONCE)
    missing, orphans = set(photos[::5000]), [new_id() for _ in range(25)]

    async def put_objects(photo_id: UUID, renditions) -> None:
        place = PhotoLocation(ada.id, photo_id, 1, f"{folder}{photo_id}/1/")
        for rendition in renditions:
            async with turn:
                await store._client.put_object(Bucket=store._bucket, Key=place.key(rendition), Body=b"x")

    for first in range(0, len(photos), 1000):
        await asyncio.gather(
            *(
                put_objects(it, [Rendition.THUMBNAIL] if it in missing else list(Rendition))
                for it in photos[first : first + 1000]
            )
        )
    await asyncio.gather(*(put_objects(it, [Rendition.ORIGINAL]) for it in orphans))
    process, began = psutil.Process(), time.perf_counter()
    before, most = process.memory_info().rss, 0

    def tell(_: BucketReport) -> None:
        nonlocal most
        most = max(most, process.memory_info().rss)

    report = await compare(tell=tell)
    seconds = time.perf_counter() - began
    print(f"{report.objects} objects in {seconds:.1f} s, {(most - before) / 2**20:.1f} MiB more")
    assert (report.removed, report.missing, set(report.named)) == (len(orphans), len(missing), missing)
    assert most - before <= MOST_BYTES_MORE

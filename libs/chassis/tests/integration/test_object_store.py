"""The adapter against a real S3: encrypted writes, complete deletes, honest counts, told-apart errors."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from chassis.object_entries import Inventory
from chassis.object_store import ObjectStore, ObjectStoreSettings, open_object_store
from chassis.object_store_faults import (
    BucketNotFound,
    ObjectNotFound,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
)

NOTHING = Inventory(objects=0, versions=0, uploads=0)


@pytest.fixture
def store_settings(servers) -> ObjectStoreSettings:
    access_key, secret_key = servers.s3_admin
    return ObjectStoreSettings(
        endpoint_url=servers.s3_endpoint,
        access_key=access_key,
        secret_key=secret_key,
        bucket=f"storage-{secrets.token_hex(6)}",
        page_size=3,
    )


@pytest.fixture
async def store(store_settings: ObjectStoreSettings) -> AsyncIterator[ObjectStore]:
    async with open_object_store(store_settings) as opened:
        await opened.ensure_bucket()
        yield opened


@pytest.fixture
async def versioned(store: ObjectStore) -> ObjectStore:
    await store._client.put_bucket_versioning(
        Bucket=store._bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    return store


async def test_what_was_written_is_read_back(store: ObjectStore) -> None:
    await store.upload("person/photo/original", b"sealed bytes")
    assert await store.download("person/photo/original", most_bytes=100) == b"sealed bytes"


@pytest.mark.parametrize("size", [5_000_000, 9_000_000, 48 << 20])
async def test_a_large_object_is_written_and_read_whole(store: ObjectStore, size: int) -> None:
    body = secrets.token_bytes(size)
    await store.upload("person/photo/original", body)
    assert await store.download("person/photo/original", most_bytes=len(body)) == body


async def test_every_object_is_encrypted_by_the_store(store: ObjectStore) -> None:
    await store.upload("person/photo/original", b"sealed bytes")
    head = await store._client.head_object(Bucket=store._bucket, Key="person/photo/original")
    assert head["ServerSideEncryption"] == "AES256"


async def test_a_bucket_is_created_once(store: ObjectStore) -> None:
    await store.ensure_bucket()
    await store.check()


async def test_a_missing_bucket_is_named_as_such(store_settings: ObjectStoreSettings) -> None:
    async with open_object_store(replace(store_settings, bucket="storage-nowhere")) as elsewhere:
        with pytest.raises(BucketNotFound):
            await elsewhere.check()


async def test_the_services_own_identity_can_do_all_it_needs_in_its_bucket_and_nothing_elsewhere(
    servers, store: ObjectStore, store_settings: ObjectStoreSettings
) -> None:
    access_key, secret_key = servers.s3_storage
    own = replace(store_settings, access_key=access_key, secret_key=secret_key, bucket="irisvue-photos")
    async with open_object_store(replace(store_settings, bucket=own.bucket)) as admin:
        await admin.ensure_bucket()
    prefix = f"{secrets.token_hex(8)}/"
    async with open_object_store(own) as mine:
        await mine.ensure_bucket()
        await mine.upload(f"{prefix}original", b"sealed bytes")
        await open_upload(mine, f"{prefix}late")
        assert (await mine.inventory(prefix))[0].total == 2
        await mine.delete_everything(prefix)
        assert await mine.inventory(prefix) == [NOTHING]
    async with open_object_store(replace(own, bucket=store_settings.bucket)) as foreign:
        with pytest.raises(ObjectStoreRefused):
            await foreign.upload("original", b"sealed bytes")


async def test_a_missing_object_is_named_as_such(store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFound):
        await store.download("nothing/here", most_bytes=100)


async def test_an_object_larger_than_expected_is_not_read(store: ObjectStore) -> None:
    await store.upload("large", bytes(1000))
    with pytest.raises(ObjectStoreRefused):
        await store.download("large", most_bytes=999)


async def test_deleting_what_is_not_there_is_no_error(store: ObjectStore) -> None:
    await store.delete("nothing/here")
    await store.delete_everything("nothing/")


async def test_everything_under_a_prefix_goes_and_nothing_else(store: ObjectStore) -> None:
    for number in range(10):
        await store.upload(f"person/{number}", b"sealed")
    await store.upload("person2/0", b"others")
    await store.delete_everything("person/")
    assert await store.inventory("person/") == [NOTHING]
    assert (await store.inventory("person2/"))[0].objects == 1


async def test_an_empty_prefix_is_refused(store: ObjectStore) -> None:
    await store.upload("one", b"sealed")
    with pytest.raises(ObjectStoreRefused):
        await store.delete_everything("")
    assert (await store.inventory("one"))[0].objects == 1


async def test_versions_and_delete_markers_go_too(versioned: ObjectStore) -> None:
    for _ in range(4):
        await versioned.upload("person/photo", b"sealed")
        await versioned.delete("person/photo")
    await versioned.upload("person/other", b"sealed")
    before = (await versioned.inventory("person/"))[0]
    assert (before.objects, before.versions) == (1, 9)
    await versioned.delete_everything("person/")
    assert await versioned.inventory("person/") == [NOTHING]


async def test_unfinished_multipart_uploads_go_too(versioned: ObjectStore) -> None:
    for number in range(5):
        await open_upload(versioned, f"person/{number}")
    await open_upload(versioned, "person2/0")
    assert (await versioned.inventory("person/"))[0].uploads == 5
    await versioned.delete_everything("person/")
    assert await versioned.inventory("person/") == [NOTHING]
    assert (await versioned.inventory("person2/"))[0].uploads == 1


async def test_more_objects_than_a_page_holds_are_counted_and_deleted(versioned: ObjectStore) -> None:
    for number in range(10):
        await versioned.upload(f"person/{number}", b"x")
        await versioned.delete(f"person/{number}")
        await versioned.upload(f"person/{number}", b"x")
    before = (await versioned.inventory("person/"))[0]
    assert (before.objects, before.versions) == (10, 30)
    await versioned.delete_everything("person/")
    assert await versioned.inventory("person/") == [NOTHING]


async def test_a_delete_that_answers_200_with_errors_is_a_failure(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.upload("person/photo", b"sealed")

    async def refuse(**_: Any) -> dict[str, Any]:
        return {"Errors": [{"Key": "person/photo", "Code": "InternalError"}]}

    monkeypatch.setattr(store._client, "delete_objects", refuse)
    with pytest.raises(ObjectStoreUnavailable) as failure:
        await store.delete_everything("person/")
    assert "person/photo" not in str(failure.value)


async def test_a_store_that_does_not_encrypt_is_refused_and_cleaned(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = store._client.put_object

    async def put_in_the_clear(**parameters: Any) -> Any:
        del parameters["ServerSideEncryption"]
        return await put(**parameters)

    monkeypatch.setattr(store._client, "put_object", put_in_the_clear)
    with pytest.raises(ObjectStoreRefused):
        await store.upload("person/photo", b"sealed")
    assert await store.inventory("person/") == [NOTHING]


async def test_a_store_that_is_down_is_unavailable(store_settings: ObjectStoreSettings) -> None:
    nobody = replace(store_settings, endpoint_url="http://127.0.0.1:9", tries=1)
    async with open_object_store(nobody) as down:
        for call in (
            down.check(),
            down.upload("key", b"sealed"),
            down.download("key", most_bytes=10),
            down.delete("key"),
            down.delete_everything("prefix/"),
            down.inventory("prefix/"),
        ):
            with pytest.raises(ObjectStoreUnavailable):
                await call


async def test_wrong_credentials_are_refused_for_good(
    store_settings: ObjectStoreSettings, store: ObjectStore
) -> None:
    async with open_object_store(replace(store_settings, secret_key="wrong")) as stranger:
        with pytest.raises(ObjectStoreRefused):
            await stranger.upload("key", b"sealed")


async def open_upload(store: ObjectStore, key: str) -> None:
    """Begin a multipart upload, store one part of it, and never finish."""
    begun = await store._client.create_multipart_upload(
        Bucket=store._bucket, Key=key, ServerSideEncryption="AES256"
    )
    await store._client.upload_part(
        Bucket=store._bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"part"
    )

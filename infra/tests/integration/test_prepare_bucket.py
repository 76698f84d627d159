"""What the bootstrap job leaves in the object store."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aioboto3
import pytest
from botocore.exceptions import ClientError

from cluster.bootstrap import prepare_bucket
from cluster.environment import BUCKET
from cluster.testing import RunningServers

Client = Callable[[tuple[str, str]], AbstractAsyncContextManager[Any]]


@pytest.fixture
def client(servers: RunningServers) -> Client:
    def with_keys(keys: tuple[str, str]) -> AbstractAsyncContextManager[Any]:
        return aioboto3.Session().client(  # type: ignore[no-any-return]
            "s3",
            endpoint_url=servers.s3_endpoint,
            region_name="us-east-1",
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
        )

    return with_keys


@pytest.fixture
async def foreign_bucket(servers: RunningServers, client: Client, name: str) -> AsyncIterator[str]:
    await prepare_bucket(servers.s3_endpoint, servers.s3_admin, bucket=name)
    async with client(servers.s3_admin) as admin:
        await admin.put_object(Bucket=name, Key="secret", Body=b"secret")
        yield name
        await admin.delete_object(Bucket=name, Key="secret")
        await admin.delete_bucket(Bucket=name)


async def test_storage_reads_and_writes_its_own_bucket_encrypted(
    servers: RunningServers, client: Client
) -> None:
    await prepare_bucket(servers.s3_endpoint, servers.s3_admin)
    await prepare_bucket(servers.s3_endpoint, servers.s3_admin)

    async with client(servers.s3_storage) as storage:
        await storage.put_object(Bucket=BUCKET, Key="own", Body=b"mine", ServerSideEncryption="AES256")
        found = await storage.get_object(Bucket=BUCKET, Key="own")
        body = await found["Body"].read()
        await storage.delete_object(Bucket=BUCKET, Key="own")

    assert body == b"mine"
    assert found["ServerSideEncryption"] == "AES256"


async def test_storage_cannot_touch_another_bucket(
    servers: RunningServers, client: Client, foreign_bucket: str
) -> None:
    async with client(servers.s3_storage) as storage:
        for attempt in (
            lambda: storage.get_object(Bucket=foreign_bucket, Key="secret"),
            lambda: storage.put_object(Bucket=foreign_bucket, Key="mine", Body=b"x"),
            lambda: storage.delete_object(Bucket=foreign_bucket, Key="secret"),
            lambda: storage.list_objects_v2(Bucket=foreign_bucket),
            lambda: storage.create_bucket(Bucket=f"{foreign_bucket}-more"),
        ):
            with pytest.raises(ClientError) as refused:
                await attempt()
            assert refused.value.response["Error"]["Code"] == "AccessDenied"


async def test_bucket_is_closed_to_strangers_and_keeps_no_versions(
    servers: RunningServers, client: Client, foreign_bucket: str
) -> None:
    async with client(("nobody", "nothing")) as stranger:
        with pytest.raises(ClientError):
            await stranger.get_object(Bucket=foreign_bucket, Key="secret")
    async with client(servers.s3_admin) as admin:
        versioning = await admin.get_bucket_versioning(Bucket=foreign_bucket)

    assert versioning.get("Status") != "Enabled"

"""What the bootstrap job leaves in the object store."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aioboto3
import aiohttp
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from yarl import URL

from cluster.bootstrap import prepare_bucket
from cluster.environment import BUCKET
from support.servers import RunningServers

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


async def test_storage_cannot_change_its_bucket(servers: RunningServers, client: Client) -> None:
    await prepare_bucket(servers.s3_endpoint, servers.s3_admin)
    rule = {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    origin = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}

    async with client(servers.s3_storage) as storage:
        for attempt in (
            lambda: storage.put_bucket_versioning(
                Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
            ),
            lambda: storage.put_bucket_lifecycle_configuration(
                Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]}
            ),
            lambda: storage.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": [origin]}),
            lambda: storage.put_bucket_policy(Bucket=BUCKET, Policy="{}"),
            lambda: storage.put_object_lock_configuration(
                Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
            ),
            lambda: storage.put_bucket_tagging(
                Bucket=BUCKET, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
            ),
            lambda: storage.put_bucket_acl(Bucket=BUCKET, ACL="public-read"),
            lambda: storage.delete_bucket(Bucket=BUCKET),
        ):
            with pytest.raises(ClientError) as refused:
                await attempt()
            assert refused.value.response["Error"]["Code"] == "AccessDenied"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("what", ["versioning", "lifecycle", "cors", "policy", "object-lock", "acl"])
async def test_change_of_the_bucket_does_not_pass_for_a_write_of_an_object(
    servers: RunningServers, client: Client, method: str, what: str
) -> None:
    await prepare_bucket(servers.s3_endpoint, servers.s3_admin)
    body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    url = f"{servers.s3_endpoint}/{BUCKET}?{what}=&prefix=key"
    digest = hashlib.sha256(body.encode()).hexdigest()
    request = AWSRequest(method, url, data=body, headers={"X-Amz-Content-SHA256": digest})
    SigV4Auth(Credentials(*servers.s3_storage), "s3", "us-east-1").add_auth(request)

    async with (
        aiohttp.ClientSession() as http,
        http.request(method, URL(url, encoded=True), data=body, headers=dict(request.headers)) as answer,
    ):
        refused = await answer.text()

    assert "AccessDenied" in refused or "MethodNotAllowed" in refused
    async with client(servers.s3_admin) as admin:
        assert (await admin.get_bucket_versioning(Bucket=BUCKET)).get("Status") != "Enabled"


async def test_storage_lists_ends_and_deletes_what_an_erasure_has_to(
    servers: RunningServers, client: Client
) -> None:
    await prepare_bucket(servers.s3_endpoint, servers.s3_admin)

    async with client(servers.s3_storage) as storage:
        await storage.head_bucket(Bucket=BUCKET)
        await storage.put_object(Bucket=BUCKET, Key="person/own", Body=b"mine")
        upload = await storage.create_multipart_upload(Bucket=BUCKET, Key="person/half")
        uploads = await storage.list_multipart_uploads(Bucket=BUCKET, Prefix="person/")
        await storage.abort_multipart_upload(Bucket=BUCKET, Key="person/half", UploadId=upload["UploadId"])
        versions = await storage.list_object_versions(Bucket=BUCKET, Prefix="person/")
        deleted = await storage.delete_objects(
            Bucket=BUCKET,
            Delete={
                "Objects": [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in versions["Versions"]]
            },
        )
        left = await storage.list_object_versions(Bucket=BUCKET, Prefix="person/")

    assert [found["Key"] for found in uploads["Uploads"]] == ["person/half"]
    assert [found["Key"] for found in versions["Versions"]] == ["person/own"]
    assert "Errors" not in deleted
    assert "Versions" not in left


async def test_bucket_is_closed_to_strangers_and_keeps_no_versions(
    servers: RunningServers, client: Client, foreign_bucket: str
) -> None:
    async with client(("nobody", "nothing")) as stranger:
        with pytest.raises(ClientError):
            await stranger.get_object(Bucket=foreign_bucket, Key="secret")
    async with client(servers.s3_admin) as admin:
        versioning = await admin.get_bucket_versioning(Bucket=foreign_bucket)

    assert versioning.get("Status") != "Enabled"

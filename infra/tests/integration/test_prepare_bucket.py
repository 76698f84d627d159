"""What the bootstrap job leaves in the object store."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote

import aioboto3
import aiohttp
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from yarl import URL

from cluster.bootstrap import prepare_bucket
from cluster.bootstrap.s3 import JOURNAL_DAYS
from cluster.environment import BUCKET
from contracts.registry import JOURNAL_BUCKET, MEMBERS
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


@pytest.mark.parametrize(
    ("service", "key", "status"), [("storage", "key", "Enabled"), ("consent", "checkpoints/1", "Suspended")]
)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("what", ["versioning", "lifecycle", "cors", "policy", "object-lock", "acl"])
async def test_change_of_the_bucket_does_not_pass_for_a_write_of_an_object(
    servers: RunningServers, client: Client, method: str, what: str, service: str, key: str, status: str
) -> None:
    await prepare(servers, service)
    bucket = MEMBERS[service].bucket
    keys = {"storage": servers.s3_storage, "consent": servers.s3_consent}[service]
    body = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"
    url = f"{servers.s3_endpoint}/{bucket}?{what}=&prefix={quote(key, safe='')}"
    digest = hashlib.sha256(body.encode()).hexdigest()
    request = AWSRequest(method, url, data=body, headers={"X-Amz-Content-SHA256": digest})
    SigV4Auth(Credentials(*keys), "s3", "us-east-1").add_auth(request)

    async with (
        aiohttp.ClientSession() as http,
        http.request(method, URL(url, encoded=True), data=body, headers=dict(request.headers)) as answer,
    ):
        refused = await answer.text()

    assert "AccessDenied" in refused or "MethodNotAllowed" in refused
    async with client(servers.s3_admin) as admin:
        assert (await admin.get_bucket_versioning(Bucket=bucket)).get("Status") != status


async def prepare(servers: RunningServers, service: str) -> None:
    member = MEMBERS[service]
    await prepare_bucket(
        servers.s3_endpoint, servers.s3_admin, bucket=member.bucket, keeps_versions=member.keeps_versions
    )


async def refused(attempt: Any) -> None:
    with pytest.raises(ClientError) as found:
        await attempt
    assert found.value.response["Error"]["Code"] == "AccessDenied"


async def test_consent_adds_checkpoints_and_reads_every_version(
    servers: RunningServers, client: Client, name: str
) -> None:
    await prepare(servers, "consent")
    await prepare(servers, "consent")
    place = {"Bucket": MEMBERS["consent"].bucket, "Key": f"checkpoints/{name}"}

    async with client(servers.s3_consent) as consent:
        for body in (b"first", b"second"):
            await consent.put_object(**place, Body=body, ServerSideEncryption="AES256")
        listed = await consent.list_object_versions(Bucket=place["Bucket"], Prefix=place["Key"])
        found = [await consent.get_object(**place, VersionId=it["VersionId"]) for it in listed["Versions"]]
        bodies = {await it["Body"].read() for it in found}

    assert bodies == {b"first", b"second"}
    assert {it["ServerSideEncryption"] for it in found} == {"AES256"}


async def test_consent_deletes_nothing_and_stays_under_its_prefix(
    servers: RunningServers, client: Client, name: str
) -> None:
    await prepare(servers, "consent")
    await prepare(servers, "storage")
    bucket, key = MEMBERS["consent"].bucket, f"checkpoints/{name}"

    async with client(servers.s3_admin) as admin:
        await admin.put_object(Bucket=BUCKET, Key=f"checkpoints/{name}", Body=b"a photo")
    async with client(servers.s3_consent) as consent:
        await consent.put_object(Bucket=bucket, Key=key, Body=b"kept")
        [version] = (await consent.list_object_versions(Bucket=bucket, Prefix=key))["Versions"]
        for attempt in (
            consent.delete_object(Bucket=bucket, Key=key),
            consent.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"]),
            consent.put_object(Bucket=bucket, Key=name, Body=b"x"),
            consent.get_object(Bucket=BUCKET, Key=key),
            consent.put_object(Bucket=BUCKET, Key=key, Body=b"x"),
            consent.list_objects_v2(Bucket=BUCKET),
            consent.create_multipart_upload(Bucket=bucket, Key=name),
            consent.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}),
            consent.delete_bucket(Bucket=bucket),
            consent.create_bucket(Bucket=name),
        ):
            await refused(attempt)
        answer = await consent.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
        assert [it["Code"] for it in answer["Errors"]] == ["AccessDenied"]
        kept = await consent.get_object(Bucket=bucket, Key=key)
        assert await kept["Body"].read() == b"kept"


async def test_page_of_the_erasure_journal_can_be_deleted_by_nobody(
    servers: RunningServers, client: Client, name: str
) -> None:
    for _ in range(2):
        await prepare_bucket(
            servers.s3_endpoint, servers.s3_admin, bucket=JOURNAL_BUCKET, locks_for_days=JOURNAL_DAYS
        )
    place = {"Bucket": JOURNAL_BUCKET, "Key": f"tests/{name}"}

    async with client(servers.s3_journal) as worker:
        await worker.put_object(**place, Body=b"first", ServerSideEncryption="AES256")
        await worker.put_object(**place, Body=b"written over")
        listed = (await worker.list_object_versions(Bucket=JOURNAL_BUCKET, Prefix=place["Key"]))["Versions"]
        [first] = [it["VersionId"] for it in listed if not it["IsLatest"]]
        for attempt in (
            worker.delete_object(**place),
            worker.delete_object(**place, VersionId=first),
            worker.put_bucket_versioning(
                Bucket=JOURNAL_BUCKET, VersioningConfiguration={"Status": "Suspended"}
            ),
            worker.put_object_lock_configuration(
                Bucket=JOURNAL_BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
            ),
            worker.list_objects_v2(Bucket=BUCKET),
        ):
            await refused(attempt)
    async with client(servers.s3_admin) as admin:
        for bypass in ({}, {"BypassGovernanceRetention": True}):
            with pytest.raises(ClientError):
                await admin.delete_object(**place, VersionId=first, **bypass)
        kept = await admin.get_object(**place, VersionId=first)
        assert await kept["Body"].read() == b"first"
        assert kept["ObjectLockMode"] == "COMPLIANCE"


async def test_storage_reaches_no_checkpoint(servers: RunningServers, client: Client, name: str) -> None:
    await prepare(servers, "consent")
    place = {"Bucket": MEMBERS["consent"].bucket, "Key": f"checkpoints/{name}"}

    async with client(servers.s3_consent) as consent:
        await consent.put_object(**place, Body=b"kept")
    async with client(servers.s3_storage) as storage:
        for attempt in (
            storage.get_object(**place),
            storage.put_object(**place, Body=b"x"),
            storage.delete_object(**place),
            storage.list_object_versions(Bucket=place["Bucket"]),
        ):
            await refused(attempt)


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

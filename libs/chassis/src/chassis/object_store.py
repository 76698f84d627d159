"""The bucket of sealed objects, over any S3: every write is encrypted by the store, every delete is complete.

A prefix counts as empty only when no version, no delete marker and no unfinished multipart upload is left
under it; DeleteObjects answers 200 even when it deleted nothing, so its `Errors` are failures here.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError

from chassis.object_entries import Inventory, ObjectEntry
from chassis.object_store_faults import (
    BucketNotFound,
    ObjectNotFound,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    code_of,
    status_of,
    translated,
)

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

SERVER_SIDE_ENCRYPTION: Final = "AES256"
_BYTES: Final = "application/octet-stream"
_MOST_KEYS_PER_PAGE: Final = 1000
_MOST_ROUNDS: Final = 10_000
Admit = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ObjectStoreSettings:
    """Where the bucket is and how long a call may take; seconds, and tries per call."""

    endpoint_url: str
    access_key: str
    secret_key: str
    bucket: str
    region: str = "us-east-1"
    connect_seconds: float = 2
    read_seconds: float = 10
    tries: int = 3
    page_size: int = _MOST_KEYS_PER_PAGE


@asynccontextmanager
async def open_object_store(settings: ObjectStoreSettings) -> AsyncIterator["ObjectStore"]:
    """Open the one S3 client of a process (a client per call costs 64 ms); it connects at its first call."""
    # Plain `client` is the only part of aioboto3 in use, so that a change of library is one line.
    async with aioboto3.Session().client(
        "s3",
        endpoint_url=settings.endpoint_url,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        region_name=settings.region,
        config=AioConfig(
            connect_timeout=settings.connect_seconds,
            read_timeout=settings.read_seconds,
            retries={"total_max_attempts": settings.tries, "mode": "standard"},
            max_pool_connections=32,
            s3={"addressing_style": "path"},
            signature_version="s3v4",  # It covers the content: no second checksum is needed.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    ) as client:
        yield ObjectStore(client, settings)


class ObjectStore:
    """Calls on one bucket; each raises ObjectStoreUnavailable when it may work later."""

    def __init__(self, client: "S3Client", settings: ObjectStoreSettings) -> None:
        self._client = client
        self._bucket = settings.bucket
        self._page_size = min(settings.page_size, _MOST_KEYS_PER_PAGE)

    async def check(self) -> None:
        """Prove that the bucket answers; BucketNotFound when it is missing."""
        with translated():
            try:
                await self._client.head_bucket(Bucket=self._bucket)
            except ClientError as error:
                if status_of(error) == 404:  # noqa: PLR2004  HEAD has no body, so the status is all there is.
                    raise BucketNotFound("The bucket does not exist; run the bootstrap job.") from error
                raise

    async def ensure_bucket(self) -> None:
        """Create the bucket when it is missing."""
        try:
            await self.check()
        except BucketNotFound:
            with translated():
                await self._client.create_bucket(Bucket=self._bucket)

    async def upload(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str = _BYTES,
        checksum: bool = False,
        only_new: bool = False,
    ) -> None:
        """Write one object, encrypted by the store; a store that does not confirm that is refused.

        A bucket with Object Lock takes only what comes with a `checksum`; `only_new` raises `ObjectExists`
        when there is one under this key (S3, PutObject).
        """
        options: Any = {"ChecksumAlgorithm": "SHA256"} if checksum else {}
        if only_new:
            options["IfNoneMatch"] = "*"
        with translated():
            answer = await self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                ServerSideEncryption=SERVER_SIDE_ENCRYPTION,
                **options,
            )
        if answer.get("ServerSideEncryption") != SERVER_SIDE_ENCRYPTION:
            await self.delete_everything(key)
            raise ObjectStoreRefused("The store did not confirm its encryption; the object was removed.")

    async def download(
        self, key: str, *, most_bytes: int, admit: Admit | None = None, version: str | None = None
    ) -> bytes:
        """Read one object, or that version of it; one that is larger than `most_bytes` is refused unread.

        `admit` is told the size first, and may wait until there is room for it, or refuse.
        """
        named: Any = {} if version is None else {"VersionId": version}
        with translated():
            answer = await self._client.get_object(Bucket=self._bucket, Key=key, **named)
            async with answer["Body"] as body:
                if answer["ContentLength"] > most_bytes:
                    raise ObjectStoreRefused("The object is larger than anything this service writes.")
                if admit is not None:
                    await admit(answer["ContentLength"])
                return bytes(await body.read())

    async def describe(self, key: str) -> tuple[int, str]:
        """Return an object's size in bytes and the content type that it has, without reading it."""
        try:
            with translated():
                head = await self._client.head_object(Bucket=self._bucket, Key=key)
                return int(head["ContentLength"]), str(head.get("ContentType", ""))
        except ObjectNotFound:
            # An answer without a body does not tell a missing object from a missing bucket.
            await self.check()
            raise

    async def delete(self, key: str) -> None:
        """Remove the current version of one object; a missing one is no error."""
        with translated():
            await self._client.delete_object(Bucket=self._bucket, Key=key)

    async def delete_everything(self, *prefixes: str, look_again: bool = True) -> None:
        """Remove every version, delete marker and unfinished upload under prefixes, none of which is empty.

        Returns only when the store lists nothing any more, unless the caller looks again.
        """
        if not all(prefixes):
            raise ObjectStoreRefused("An empty prefix would delete the whole bucket.")
        left = list(prefixes)
        for _ in range(_MOST_ROUNDS):
            with translated():
                uploads = await self._uploads(prefixes)
                for key, upload_id in uploads:
                    await self._abort(key, upload_id)
                more = await _all(self._delete_page(prefix, look_again=look_again) for prefix in left)
            left = [prefix for prefix, again in zip(left, more, strict=True) if again]
            if not left and not (uploads and look_again):
                return
        raise ObjectStoreUnavailable("The store keeps listing what it was told to delete.")

    async def versions(self, prefix: str) -> AsyncIterator[tuple[str, str]]:
        """Yield key and version of every object under a prefix, by key, those written over included."""
        with translated():
            async for page in self._pages("list_object_versions", prefix):
                for found in page.get("Versions", []):
                    yield found["Key"], found["VersionId"]

    async def everything(self) -> AsyncIterator[ObjectEntry]:
        """Yield every version and delete marker of the bucket, by key; a page is in memory at a time.

        Raises `ObjectStoreRefused` for a store that does not list by key.
        """
        last = ""
        with translated():
            async for page in self._pages("list_object_versions", ""):
                # Versions and markers are two lists of the same page, each by key.
                found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                for entry in sorted(found, key=lambda it: str(it["Key"])):
                    if entry["Key"] < last:
                        raise ObjectStoreRefused("The store does not list its objects by key.")
                    last = entry["Key"]
                    yield ObjectEntry(last, entry["VersionId"], entry["LastModified"])

    async def remove(self, entries: Sequence[ObjectEntry]) -> None:
        """Delete exactly these versions and delete markers, at most a thousand; a missing one is no error."""
        with translated():
            await self._delete_versions([{"Key": it.key, "VersionId": it.version} for it in entries])

    async def names_after(self, prefix: str, name: str, *, most: int) -> list[str]:
        """Return the keys of the objects under a prefix that come after `name`, in order, `most` at most."""
        with translated():
            page = await self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, StartAfter=name, MaxKeys=most
            )
        return [found["Key"] for found in page.get("Contents", [])]

    async def folders(self, prefix: str) -> set[str]:
        """Return the folders right under a prefix in which anything is, by their whole names.

        Delete markers and unfinished uploads are something.
        """
        with translated():
            keys = {key for key, _ in await self._uploads([prefix])}
            async for page in self._pages("list_object_versions", prefix):
                found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                keys.update(entry["Key"] for entry in found)
        return {f"{prefix}{key.removeprefix(prefix).partition('/')[0]}/" for key in keys}

    async def inventory(self, *prefixes: str) -> list[Inventory]:
        """Count what is left under each prefix, page by page; a current object is its latest version."""
        with translated():
            uploads, *found = await _all([self._uploads(prefixes), *map(self._count_versions, prefixes)])
        return [
            Inventory(objects, versions, sum(1 for key, _ in uploads if key.startswith(prefix)))
            for prefix, (objects, versions) in zip(prefixes, found, strict=True)
        ]

    async def _count_versions(self, prefix: str) -> tuple[int, int]:
        objects = versions = 0
        async for page in self._pages("list_object_versions", prefix):
            found = page.get("Versions", [])
            objects += sum(1 for version in found if version.get("IsLatest"))
            versions += len(found) + len(page.get("DeleteMarkers", []))
        return objects, versions

    async def _uploads(self, prefixes: Sequence[str]) -> list[tuple[str, str]]:
        """Return the keys and ids of the unfinished uploads under prefixes."""
        # There are few in a bucket: to list them once is cheaper than to ask for each prefix.
        common = prefixes[0] if len(prefixes) == 1 else ""
        return [
            (upload["Key"], upload["UploadId"])
            async for page in self._pages("list_multipart_uploads", common)
            for upload in page.get("Uploads", [])
            if upload["Key"].startswith(tuple(prefixes))
        ]

    async def _delete_page(self, prefix: str, *, look_again: bool) -> bool:
        """Delete the first versions under a prefix; tell whether to look for more."""
        page = await self._client.list_object_versions(
            Bucket=self._bucket, Prefix=prefix, MaxKeys=self._page_size
        )
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if found:
            await self._delete_versions([{"Key": it["Key"], "VersionId": it["VersionId"]} for it in found])
        return bool(found) if look_again else page["IsTruncated"]

    async def _delete_versions(self, versions: list[dict[str, str]]) -> None:
        batch: Any = {"Objects": versions, "Quiet": True}
        answer = await self._client.delete_objects(Bucket=self._bucket, Delete=batch)
        if errors := answer.get("Errors"):
            codes = sorted({error.get("Code", "unknown") for error in errors})
            raise ObjectStoreUnavailable(f"{len(errors)} objects were not deleted: {', '.join(codes)}.")

    async def _abort(self, key: str, upload_id: str) -> None:
        try:
            await self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)
        except ClientError as error:
            # Somebody else has finished or aborted it since it was listed; the next round looks again.
            if code_of(error) != "NoSuchUpload":
                raise

    def _pages(self, operation: Any, prefix: str) -> AsyncIterator[dict[str, Any]]:
        pages: AsyncIterator[dict[str, Any]] = self._client.get_paginator(operation).paginate(
            Bucket=self._bucket, Prefix=prefix, PaginationConfig={"PageSize": self._page_size}
        )
        return pages


async def _all(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    """Return what each call does; when one fails, the others have ended as well."""
    done = await asyncio.gather(*calls, return_exceptions=True)
    for result in done:
        if isinstance(result, BaseException):
            raise result
    return done

"""Every object, version, delete marker and unfinished upload of every bucket, with the bytes of each."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import aioboto3

from cluster.environment import REGION
from residue.canaries import Canaries
from residue.searched import Searched

PIECE = 4_000_000
"""Bytes of an object that are searched at once; what stands across two pieces is looked for in both."""
OVERLAP = 4_096
_UNVERSIONED = "null"


async def search_buckets(values: Mapping[str, str], canaries: Canaries) -> list[Searched]:
    """Search every bucket that the store lists."""
    async with open_store(values) as s3:
        buckets = [entry["Name"] for entry in (await s3.list_buckets())["Buckets"]]
        return [place for bucket in buckets for place in await search_bucket(s3, bucket, canaries)]


def open_store(values: Mapping[str, str]) -> Any:
    """Return the operator's S3 client; use it with `async with`."""
    return aioboto3.Session().client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{values['S3_PORT']}",
        region_name=REGION,
        aws_access_key_id=values["S3_ADMIN_ACCESS_KEY"],
        aws_secret_access_key=values["S3_ADMIN_SECRET_KEY"],
    )


async def search_bucket(s3: Any, bucket: str, canaries: Canaries) -> list[Searched]:
    """Search the names of everything in a bucket, and the bytes of every version."""
    names = Searched("bucket", f"{bucket}, names")
    async for entry in _listed(s3, "list_objects_v2", bucket, "Contents"):
        names.look_at(canaries, entry["Key"].encode())
    bodies = Searched("bucket", f"{bucket}, versions and their bytes")
    async for entry in _listed(s3, "list_object_versions", bucket, "Versions"):
        bodies.look_at(canaries, entry["Key"].encode(), *await _pieces(s3, bucket, entry))
    markers = Searched("bucket", f"{bucket}, delete markers")
    async for entry in _listed(s3, "list_object_versions", bucket, "DeleteMarkers"):
        markers.look_at(canaries, entry["Key"].encode())
    uploads = Searched("bucket", f"{bucket}, unfinished uploads")
    async for entry in _listed(s3, "list_multipart_uploads", bucket, "Uploads"):
        uploads.look_at(canaries, entry["Key"].encode())
    return [names, bodies, markers, uploads]


async def _listed(s3: Any, operation: str, bucket: str, kind: str) -> AsyncIterator[dict[str, Any]]:
    async for page in s3.get_paginator(operation).paginate(Bucket=bucket):
        for entry in page.get(kind, []):
            yield entry


async def _pieces(s3: Any, bucket: str, entry: Mapping[str, Any]) -> list[bytes]:
    """Return the bytes of one version; none where it has gone meanwhile."""
    version = {} if entry["VersionId"] == _UNVERSIONED else {"VersionId": entry["VersionId"]}
    try:
        answer = await s3.get_object(Bucket=bucket, Key=entry["Key"], **version)
    except s3.exceptions.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:  # noqa: PLR2004 - gone
            raise
        return []
    headers = repr(answer.get("Metadata", {})).encode()
    async with answer["Body"] as body:
        whole = await body.read()
    step = PIECE - OVERLAP
    return [headers, *(whole[start : start + PIECE] for start in range(0, max(len(whole), 1), step))]

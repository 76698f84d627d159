"""What the buckets hold, for a backup: names and versions, no bytes of any object."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from cluster.environment import REGION, bucket_of
from cluster.errors import ClusterError
from cluster.members import STORING_SERVICES

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client


async def listed(values: Mapping[str, str], s3: str) -> bytes:
    """Return an object's version on each line, as JSON; `s3` is `host:port`.

    A store that does not answer is a ClusterError.
    """
    # Half a second to import, which every other command would pay.
    import aioboto3  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    lines: list[str] = []
    for service in STORING_SERVICES:
        prefix = f"{service.upper()}_S3"
        opening = aioboto3.Session().client(
            "s3",
            endpoint_url=f"http://{s3}",
            region_name=REGION,
            aws_access_key_id=values[f"{prefix}_ACCESS_KEY"],
            aws_secret_access_key=values[f"{prefix}_SECRET_KEY"],
        )
        try:
            async with opening as client:
                lines += [line async for line in _versions(client, bucket_of(values, service))]
        except (BotoCoreError, ClientError) as error:
            raise ClusterError(f"The object store does not list its buckets: {error}") from error
    return "".join(f"{line}\n" for line in lines).encode()


async def _versions(client: "S3Client", bucket: str) -> AsyncIterator[str]:
    async for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for found in page.get("Versions", []):
            yield json.dumps(
                {
                    "bucket": bucket,
                    "key": found["Key"],
                    "version": found["VersionId"],
                    "size": found["Size"],
                    "etag": found["ETag"],
                }
            )

"""The buckets of the services; harmless when repeated."""

from typing import Any

JOURNAL_DAYS = 400
"""For how long nobody can delete a page of the erasure journal: longer than any backup is kept."""
OURS = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


async def prepare_bucket(
    endpoint_url: str,
    admin: tuple[str, str],
    *,
    bucket: str = "irisvue-photos",
    keeps_versions: bool = False,
    locks_for_days: int = 0,
    region: str = "us-east-1",
) -> None:
    """Create a private bucket; versions are kept only if asked for: a deleted photo must not live on as one.

    In one that `locks_for_days` every version is kept, and for so long nobody can delete one: S3 Object Lock,
    which only a new bucket can be given. `admin` is (access key, secret key) of an identity that may create
    buckets.
    """
    # Half a second to import, which every other command would pay.
    import aioboto3  # noqa: PLC0415
    from aiobotocore.config import AioConfig  # noqa: PLC0415
    from botocore.exceptions import ClientError  # noqa: PLC0415

    config = AioConfig(connect_timeout=2, read_timeout=10, retries={"max_attempts": 3})
    client = aioboto3.Session().client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=admin[0],
        aws_secret_access_key=admin[1],
        config=config,
    )
    async with client as s3:
        try:
            await s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=locks_for_days > 0)
        except ClientError as error:
            if error.response["Error"]["Code"] not in OURS:
                raise
        if locks_for_days:
            await _lock(s3, bucket, days=locks_for_days)
        elif keeps_versions:
            await s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


async def _lock(s3: Any, bucket: str, *, days: int) -> None:
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": days}}
    await s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )

"""The buckets of the services; harmless when repeated."""

OURS = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


async def prepare_bucket(
    endpoint_url: str,
    admin: tuple[str, str],
    *,
    bucket: str = "irisvue-photos",
    keeps_versions: bool = False,
    region: str = "us-east-1",
) -> None:
    """Create a private bucket; versions are kept only if asked for: a deleted photo must not live on as one.

    `admin` is (access key, secret key) of an identity that may create buckets.
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
            await s3.create_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] not in OURS:
                raise
        if keeps_versions:
            await s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

"""The object store with nothing before it but the decoding that a picture must pass."""

import asyncio
import io
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import aiohttp
import boto3
from botocore.config import Config
from PIL import Image

from benchmarks.comparison import Sample

BUCKET = "benchmark"
THUMBNAIL = (512, 512)
OK = 200
SMALL = bytes(10_000)
PARALLEL = 8
LINK_SECONDS = 3600


class BareStore:
    """Presigned links to a bucket, and a client that uses them."""

    def __init__(self, endpoint: str, keys: tuple[str, str]) -> None:
        access, secret = keys
        self._s3 = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            config=Config(signature_version="s3v4"),
            aws_access_key_id=access,
            aws_secret_access_key=secret,
        )

    def prepare(self) -> None:
        """Make the bucket, unless an earlier group of rows has made it."""
        if BUCKET not in {bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]}:
            self._s3.create_bucket(Bucket=BUCKET)

    def fill(self, prefix: str, count: int, *, bucket: str = BUCKET) -> None:
        """Write so many small objects under a prefix."""
        with ThreadPoolExecutor(PARALLEL) as threads:
            for written in [
                threads.submit(self._s3.put_object, Bucket=bucket, Key=f"{prefix}{number}", Body=SMALL)
                for number in range(count)
            ]:
                written.result()

    def empty(self, prefix: str) -> float:
        """List a prefix and delete what it has in one batch; return how many milliseconds that took."""
        began = time.perf_counter()
        listed = self._s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
        keys = [{"Key": found["Key"]} for found in listed]
        answer = self._s3.delete_objects(Bucket=BUCKET, Delete={"Objects": keys, "Quiet": True})
        if answer.get("Errors"):
            raise RuntimeError("the store did not delete everything")
        return (time.perf_counter() - began) * 1000

    def _link(self, operation: str, key: str) -> str:
        parameters = {"Bucket": BUCKET, "Key": key}
        return str(self._s3.generate_presigned_url(operation, Params=parameters, ExpiresIn=LINK_SECONDS))

    async def put(self, picture: bytes, *, clients: int, seconds: float) -> Sample:
        """Return decoded and stored pictures per second."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(2) as threads:

            async def one(http: aiohttp.ClientSession) -> None:
                await loop.run_in_executor(threads, decode, picture)
                async with http.put(self._link("put_object", uuid4().hex), data=picture) as answer:
                    if answer.status != OK:
                        raise RuntimeError(f"the store answered {answer.status}")

            return await _repeat(one, clients=clients, seconds=seconds)

    async def get(self, picture: bytes, *, clients: int, seconds: float) -> Sample:
        """Return read pictures per second."""
        key = uuid4().hex
        await asyncio.to_thread(self._s3.put_object, Bucket=BUCKET, Key=key, Body=picture)
        link = self._link("get_object", key)

        async def one(http: aiohttp.ClientSession) -> None:
            async with http.get(link) as answer:
                if len(await answer.read()) != len(picture):
                    raise RuntimeError(f"the store answered {answer.status}")

        return await _repeat(one, clients=clients, seconds=seconds)


def decode(picture: bytes) -> None:
    """Read every pixel, and make a thumbnail, as whoever accepts a picture has to."""
    with Image.open(io.BytesIO(picture)) as image:
        image.load()
        image.thumbnail(THUMBNAIL)
        image.save(io.BytesIO(), "JPEG")


async def _repeat(
    one: Callable[[aiohttp.ClientSession], Awaitable[None]], *, clients: int, seconds: float
) -> Sample:
    done, began = 0, time.monotonic()

    async def client(http: aiohttp.ClientSession) -> None:
        nonlocal done
        while time.monotonic() < began + seconds:
            await one(http)
            done += 1

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(client(http) for _ in range(clients)))
    return Sample(done / (time.monotonic() - began))

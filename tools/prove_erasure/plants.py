"""Proves the search itself: a canary is planted in every store, must be found there, and is taken away."""

import asyncio
import base64
import json
import secrets
import smtplib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any
from uuid import uuid4

from cluster.environment import VHOST
from residue.database import open_database
from residue.objects import open_store
from residue.queues import open_management, queue_path
from residue.redis_keys import open_redis

KINDS = ("table", "redis", "bucket", "queue", "log", "mailbox")


async def put_into_queue(values: Mapping[str, str], queue: str, words: str) -> None:
    """Put a message into a queue, as a message lies there that nobody could handle."""
    message = {"properties": {}, "routing_key": queue, "payload": words, "payload_encoding": "string"}
    async with open_management(values) as http:
        path = f"/api/exchanges/{VHOST}/amq.default/publish"
        await http.post(path, json=message, raise_for_status=True)


class Plant:
    """A word and an id that nobody has, and the places where they are put."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.word = f"planted ü {secrets.token_hex(8)}"
        self.identifier = uuid4()
        self.name = f"residue-{secrets.token_hex(4)}"

    @asynccontextmanager
    async def grown(self) -> AsyncIterator[None]:
        """Have all of it planted while the block runs; mails and lines of logs stay, and name nobody."""
        try:
            await self._in_database()
            await self._in_redis()
            await self._in_bucket()
            await self._in_queue()
            await asyncio.to_thread(self._in_mailbox)
            yield
        finally:
            await self._pull_out()

    async def _in_database(self) -> None:
        """As sixteen bytes, in JSON, and in base64 that begins in the middle of a longer text."""
        connection = await open_database(self._values, "postgres")
        try:
            await connection.execute(f'CREATE TABLE public."{self.name}" (raw bytea, said jsonb, words text)')
            text = base64.b64encode(f"x{self.word}".encode()).decode()
            row = (b"\x00" + self.identifier.bytes, json.dumps({"it": self.word}), text)
            for values in ((row[0], None, None), (None, row[1], None), (None, None, row[2])):
                query = f'INSERT INTO public."{self.name}" VALUES ($1, $2, $3)'  # noqa: S608 - our own name
                await connection.execute(query, *values)
        finally:
            await connection.close()

    async def _in_redis(self) -> None:
        async with open_redis(self._values) as redis:
            await redis.hset(self.name, mapping={"id": self.identifier.hex})

    async def _in_bucket(self) -> None:
        """In a version that a later one has covered, and in the name of an upload that was never finished."""
        async with open_store(self._values) as s3:
            await s3.create_bucket(Bucket=self.name)
            versioned = {"Status": "Enabled"}
            await s3.put_bucket_versioning(Bucket=self.name, VersioningConfiguration=versioned)
            for body in (self.word.encode("utf-16-le"), b"nothing"):
                await s3.put_object(Bucket=self.name, Key="covered", Body=body)
            await s3.create_multipart_upload(Bucket=self.name, Key=f"{self.identifier}/unfinished")

    async def _in_queue(self) -> None:
        async with open_management(self._values) as http:
            arguments = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
            await http.put(queue_path(VHOST, self.name), json=arguments, raise_for_status=True)
        await put_into_queue(self._values, self.name, self.identifier.hex)

    def _in_mailbox(self) -> None:
        """In the encoded body of a mail to somebody else."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "a@example.com", "b@example.com", "A plant"
        mail.set_content(self.word, cte="base64")
        with smtplib.SMTP("127.0.0.1", int(self._values["SMTP_PORT"]), timeout=10) as smtp:
            smtp.send_message(mail)

    async def _pull_out(self) -> None:
        connection = await open_database(self._values, "postgres")
        try:
            await connection.execute(f'DROP TABLE IF EXISTS public."{self.name}"')
        finally:
            await connection.close()
        async with open_redis(self._values) as redis:
            await redis.delete(self.name)
        async with open_management(self._values) as http, http.delete(queue_path(VHOST, self.name)):
            pass
        async with open_store(self._values) as s3:
            await self._empty(s3)

    async def _empty(self, s3: Any) -> None:
        buckets = [entry["Name"] for entry in (await s3.list_buckets())["Buckets"]]
        if self.name not in buckets:
            return
        versions = await s3.list_object_versions(Bucket=self.name)
        for entry in versions.get("Versions", []):
            await s3.delete_object(Bucket=self.name, Key=entry["Key"], VersionId=entry["VersionId"])
        uploads = await s3.list_multipart_uploads(Bucket=self.name)
        for entry in uploads.get("Uploads", []):
            await s3.abort_multipart_upload(Bucket=self.name, Key=entry["Key"], UploadId=entry["UploadId"])
        await s3.delete_bucket(Bucket=self.name)

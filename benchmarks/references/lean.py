"""A lean service with the same contract and none of the promises: FastAPI, an asyncpg pool, a shared secret.

`uvicorn benchmarks.references.lean:app` needs BENCHMARK_DSN, BENCHMARK_SECRET and BENCHMARK_S3.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID, uuid4

import asyncpg
import boto3
import jwt
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

BUCKET = "benchmark"
SCHEMA = """
    DROP SCHEMA IF EXISTS lean CASCADE;
    CREATE SCHEMA lean;
    CREATE TABLE lean.consents (user_id uuid PRIMARY KEY, granted boolean NOT NULL);
    CREATE TABLE lean.photos (id uuid PRIMARY KEY, user_id uuid NOT NULL, key text, type text);
"""


class UploadRequest(BaseModel):
    """What is to be uploaded."""

    content_type: str


class UploadLink(BaseModel):
    """Where to."""

    photo_id: UUID
    upload_url: str


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.s3 = boto3.client("s3", endpoint_url=os.environ["BENCHMARK_S3"], region_name="us-east-1")
    async with asyncpg.create_pool(os.environ["BENCHMARK_DSN"], min_size=10, max_size=10) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_lifespan)


@app.get("/hello")
async def hello() -> dict[str, str]:
    """Answer, as little as a framework can."""
    return {"status": "healthy"}


@app.post("/photos/upload", status_code=201)
async def ask_to_upload(body: UploadRequest, authorization: Annotated[str, Header()]) -> UploadLink:
    """Write a row for a person who agreed, commit, and sign a link to the store."""
    claims = jwt.decode(authorization.removeprefix("Bearer "), os.environ["BENCHMARK_SECRET"], ["HS256"])
    user, photo = UUID(claims["sub"]), uuid4()
    key = f"{user}/{photo}"
    async with app.state.pool.acquire() as connection, connection.transaction():
        if not await connection.fetchval("SELECT granted FROM lean.consents WHERE user_id = $1", user):
            raise HTTPException(403)
        await connection.execute(
            "INSERT INTO lean.photos VALUES ($1, $2, $3, $4)", photo, user, key, body.content_type
        )
    parameters = {"Bucket": BUCKET, "Key": key, "ContentType": body.content_type}
    url = app.state.s3.generate_presigned_url("put_object", Params=parameters, ExpiresIn=300)
    return UploadLink(photo_id=photo, upload_url=url)

"""The three rows of a consent, inserted and committed by asyncpg alone: a gate, an entry, an outbox row."""

import asyncio
import os
import time
from uuid import uuid4

import asyncpg

from benchmarks import machine
from benchmarks.comparison import Sample

SCHEMA = """
    DROP SCHEMA IF EXISTS raw CASCADE;
    CREATE SCHEMA raw;
    CREATE TABLE raw.gates (user_id uuid, consent_type text, epoch bigint, consent_id uuid,
        PRIMARY KEY (user_id, consent_type));
    CREATE TABLE raw.ledger (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text,
        consent_type text, jurisdiction text, version text, digest text, locale text, epoch bigint,
        occurred_at timestamptz, commitment text, user_id uuid, consent_id uuid, salt bytea);
    CREATE INDEX ON raw.ledger (user_id);
    CREATE TABLE raw.outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id uuid, type text,
        subject text, body text);
"""
BODY = "x" * 600
DIGEST = "0" * 64


async def insert(dsn: str, *, clients: int, seconds: float) -> Sample:
    """Return commits per second of `clients` over as many connections."""
    done = 0
    async with asyncpg.create_pool(dsn, min_size=clients, max_size=clients) as pool:
        before = machine.usage()
        began = os.times()
        until = time.monotonic() + seconds

        async def client() -> None:
            nonlocal done
            async with pool.acquire() as connection:
                while time.monotonic() < until:
                    await _consent(connection)
                    done += 1

        await asyncio.gather(*(client() for _ in range(clients)))
        after, ended = machine.usage(), os.times()
    # This process is the service here, so its own time counts.
    own = ended.user + ended.system - began.user - began.system
    cpu = (machine.served_seconds(before, after) + own) * 1000 / done
    return Sample(done / (after.at - before.at), cpu)


async def _consent(connection: asyncpg.Connection) -> None:
    user, consent = uuid4(), uuid4()
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO raw.gates VALUES ($1, 'biometric_capture', 1, $2)", user, consent
        )
        await connection.execute(
            "INSERT INTO raw.ledger (kind, consent_type, jurisdiction, version, digest, locale, epoch,"
            " occurred_at, commitment, user_id, consent_id, salt) VALUES ('grant', 'biometric_capture',"
            " 'gdpr', '1', $1, 'en', 1, clock_timestamp(), $1, $2, $3, $4)",
            DIGEST,
            user,
            consent,
            bytes(16),
        )
        await connection.execute(
            "INSERT INTO raw.outbox (event_id, type, subject, body) VALUES ($1, $2, $3, $4)",
            consent,
            "consent.consent.granted.v1",
            str(user),
            BODY,
        )

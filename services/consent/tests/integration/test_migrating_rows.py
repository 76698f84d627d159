"""What the schema was like before the law of the place, with rows in it, and what becomes of them."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from alembic import command

from chassis import migrations
from cluster.bootstrap.postgres import prepare_postgres
from cluster.environment import DATABASE
from consent.models import Personal
from consent.settings import ConsentSettings
from support.platform import Platform

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SCRATCH = "before"
ANN, BEN, FIRST, SECOND = UUID(int=1), UUID(int=2), UUID(int=11), UUID(int=12)
AN_ENTRY = """
    INSERT INTO consent.entries (
        kind, consent_type, jurisdiction, jurisdictions, consent_text_version, text_digest, locale,
        ruleset_version, ruleset_digest, epoch, occurred_at, expires_at, commitment, user_id, consent_id,
        metadata, salt)
    VALUES ($1::text, 'marketing', 'gdpr', '{gdpr}', '2026-01', '', 'en', '2026-01', '', $2, '2026-11-01',
        CASE WHEN $1::text = 'grant' THEN '2028-11-01T00:00:00Z'::timestamptz END, $3, $4, $5, $6, 'salt')
"""


@pytest.fixture
def url_of_scratch(platform: Platform, settings: ConsentSettings) -> str:
    servers = platform.servers
    asyncio.run(prepare_postgres(servers.postgres_dsn, servers.role_passwords, database=SCRATCH))
    url = settings.owner_database_url.get_secret_value()
    assert url.endswith(f"/{DATABASE}")
    return url.removesuffix(DATABASE) + SCRATCH


def written_before(user_id: UUID, consent_id: UUID, details: str | None) -> bytes:
    fields = {"consent_id": str(consent_id), "metadata": details, "user_id": str(user_id)}
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def on_scratch(platform: Platform, work: Any) -> Any:
    async def _run() -> Any:
        connection = await platform.connect_as_admin(SCRATCH)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(_run())


def test_consents_from_before_keep_their_commitments_and_their_gates_know_where_they_stand(
    platform: Platform, url_of_scratch: str
) -> None:
    command.upgrade(migrations.alembic_config(MIGRATIONS, url_of_scratch), "0003")

    async def write(connection: asyncpg.Connection) -> None:
        for kind, epoch, user_id, consent_id, details in [
            ("grant", 1, ANN, FIRST, '{"a":1}'),
            ("withdrawal", 2, ANN, FIRST, None),
            ("grant", 3, ANN, SECOND, None),
            ("grant", 1, BEN, UUID(int=21), None),
            ("withdrawal", 2, BEN, UUID(int=21), None),
        ]:
            commitment = hashlib.sha256(b"salt" + written_before(user_id, consent_id, details)).hexdigest()
            await connection.execute(AN_ENTRY, kind, epoch, commitment, user_id, consent_id, details)
        await connection.execute(
            "INSERT INTO consent.gates VALUES ($1, 'marketing', 3, $2), ($3, 'marketing', 2, NULL)",
            ANN,
            SECOND,
            BEN,
        )

    on_scratch(platform, write)
    migrations.upgrade(MIGRATIONS, url_of_scratch)
    migrations.check(MIGRATIONS, url_of_scratch)
    gates = on_scratch(
        platform,
        lambda connection: connection.fetch(
            "SELECT user_id, epoch, ended_epoch, open_consent_id,"
            " open_until = '2028-11-01T00:00:00Z' AS until FROM consent.gates ORDER BY user_id"
        ),
    )
    assert [tuple(gate) for gate in gates] == [(ANN, 3, 2, SECOND, True), (BEN, 2, 2, None, None)]
    entries = on_scratch(platform, lambda connection: connection.fetch("SELECT * FROM consent.entries"))
    for entry in entries:
        personal = Personal(entry["user_id"], entry["consent_id"], details=entry["metadata"])
        assert entry["commitment"] == personal.commitment(entry["salt"])
        assert (entry["source"], entry["country"], entry["resolved_jurisdictions"]) == (None, None, None)


def test_way_back_keeps_grants_and_withdrawals_and_leaves_out_what_the_old_schema_has_no_place_for(
    platform: Platform, url_of_scratch: str
) -> None:
    config = migrations.alembic_config(MIGRATIONS, url_of_scratch)
    migrations.upgrade(MIGRATIONS, url_of_scratch)
    on_scratch(platform, lambda connection: connection.execute("TRUNCATE consent.entries, consent.gates"))

    async def write(connection: asyncpg.Connection) -> None:
        for kind, epoch in (("grant", 1), ("expiry", 2), ("grant", 3), ("withdrawal", 4)):
            await connection.execute(AN_ENTRY, kind, epoch, "", ANN, UUID(int=10 + (epoch + 1) // 2), None)
        await connection.execute("UPDATE consent.entries SET country = 'DE', ip_address = '192.0.2.7'")
        await connection.execute(
            "INSERT INTO consent.gates (user_id, consent_type, epoch, ended_epoch)"
            " VALUES ($1, 'marketing', 4, 4)",
            ANN,
        )

    on_scratch(platform, write)
    command.downgrade(config, "0003")
    kept = on_scratch(
        platform,
        lambda connection: connection.fetch(
            "SELECT kind, epoch, user_id = $1 AS hers, salt FROM consent.entries ORDER BY epoch", ANN
        ),
    )
    assert [tuple(row) for row in kept] == [
        ("grant", 1, True, b"salt"),
        ("grant", 3, True, b"salt"),
        ("withdrawal", 4, True, b"salt"),
    ]

    migrations.upgrade(MIGRATIONS, url_of_scratch)
    gates = on_scratch(
        platform,
        lambda connection: connection.fetch("SELECT epoch, ended_epoch, open_until FROM consent.gates"),
    )
    assert [tuple(gate) for gate in gates] == [(4, 4, None)]

"""K35: what the log costs at the size of years, on a machine that does nothing else.

`IRISVUE_LOG_LEAVES` asks for another size.
"""

import os
import time
from statistics import median

import pytest

from chassis.ids import new_id
from consent.models import SALT_BYTES, Personal
from consent.repositories.log_reader import LogReader
from consent.repositories.rows import ENTRIES
from consent.use_cases.prove_inclusion import prove_inclusion
from consent.use_cases.seal_log import seal_log
from consent.use_cases.verify_log import verify_log

LEAVES = int(os.environ.get("IRISVUE_LOG_LEAVES", "1000000"))
BATCH = 20_000
CHECKPOINT_SECONDS, PROOF_SECONDS, VERIFY_SECONDS_PER_LEAF = 0.1, 0.005, 60 / 1_000_000
A_SECOND_OF_GRANTS = 500


async def write(admin, first, count: int) -> None:
    """Write entries like the first one, each of somebody else and with a commitment of its own."""
    columns = [column.name for column in ENTRIES.c if column.name != "position"]
    for begin in range(0, count, BATCH):
        rows = []
        for _ in range(min(BATCH, count - begin)):
            salt, personal = os.urandom(SALT_BYTES), Personal(new_id(), new_id(), country="DE")
            changed = {
                **dict.fromkeys(("metadata", "region", "residence", "ip_address")),
                "user_id": personal.user_id,
                "consent_id": personal.consent_id,
                "country": "DE",
                "salt": salt,
                "commitment": personal.commitment(salt),
            }
            rows.append([changed.get(name, first[name]) for name in columns])
        await admin.copy_records_to_table("entries", schema_name="consent", columns=columns, records=rows)


@pytest.mark.chaos
@pytest.mark.timeout(1200)
async def test_k35_large_log_stays_quick(person, service, settings, admin, capsys) -> None:
    await person().agree()
    await write(admin, await admin.fetchrow("SELECT * FROM consent.entries"), LEAVES - 1)
    begun = time.perf_counter()
    assert await seal_log(service.database, keys=service.log_keys, clock=service.clock) == LEAVES
    sealed = time.perf_counter() - begun
    await admin.execute("ANALYZE consent.log_leaves, consent.log_nodes, consent.entries")
    first = await admin.fetchrow("SELECT * FROM consent.entries ORDER BY position LIMIT 1")

    async def second_of_grants() -> float:
        await write(admin, first, A_SECOND_OF_GRANTS)
        begun = time.perf_counter()
        await seal_log(service.database, keys=service.log_keys, clock=service.clock)
        return time.perf_counter() - begun

    async def checkpoint() -> float:
        await person().agree()
        begun = time.perf_counter()
        await seal_log(service.database, keys=service.log_keys, clock=service.clock)
        return time.perf_counter() - begun

    async def proof(position: int) -> float:
        begun = time.perf_counter()
        assert await prove_inclusion(service.database, position)
        return time.perf_counter() - begun

    seconds = median([await second_of_grants() for _ in range(5)])
    checkpoints = median([await checkpoint() for _ in range(9)])
    positions = [first["position"] + LEAVES * number // 30 for number in range(30)]
    proofs = median([await proof(position) for position in positions])
    dsn = settings.database_url.get_secret_value().replace("postgresql+asyncpg", "postgresql")
    begun = time.perf_counter()
    async with LogReader.open(dsn) as reader:
        verified = await verify_log(reader, verifiers=service.log_keys.verifiers)
    took = time.perf_counter() - begun

    with capsys.disabled():
        print(
            f"\n{verified.leaves} leaves: sealed in {sealed:.1f} s; checkpoint {checkpoints * 1000:.1f} ms;"
            f" 500 leaves {seconds * 1000:.0f} ms; proof {proofs * 1000:.1f} ms; verified in {took:.1f} s"
        )
    assert not verified.findings
    assert checkpoints <= CHECKPOINT_SECONDS
    assert seconds <= 1
    assert proofs <= PROOF_SECONDS
    assert took <= VERIFY_SECONDS_PER_LEAF * verified.leaves

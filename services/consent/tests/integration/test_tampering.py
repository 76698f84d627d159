"""S19: whoever owns the schema can change every row, and the verifier names the leaf."""

import asyncio
import json
import os
import sys
from pathlib import Path

import asyncpg
import pytest

from consent.main import CONSENT
from consent.repositories.log_reader import LogReader
from consent.repositories.transparency_log import leaf_of_entry
from consent.transparency.merkle import leaf_hash
from consent.use_cases.read_log import read_checkpoint
from consent.use_cases.seal_log import seal_log
from consent.use_cases.verify_log import verify_log

ENTRIES = 6


@pytest.fixture
async def kept(person, service) -> str:
    """A log of six entries, each under a checkpoint of its own; the last one, as somebody keeps it."""
    for _ in range(ENTRIES):
        await person().agree()
        await seal_log(service.database, keys=service.log_keys, clock=service.clock)
    return (await read_checkpoint(service.database)).note


@pytest.fixture
async def owner(service, settings):
    """The role that owns the schema."""
    connection = await asyncpg.connect(dsn_of(settings, owner=True))
    yield connection
    await connection.close()


def dsn_of(settings, *, owner: bool = False) -> str:
    url = settings.owner_database_url if owner else settings.database_url
    return url.get_secret_value().replace("postgresql+asyncpg", "postgresql")


@pytest.fixture
def verified(service, settings):
    """Verify, with a kept checkpoint or without: `await verified(kept)` returns what does not hold."""

    async def run(kept: str | None = None) -> list[str]:
        async with LogReader.open(dsn_of(settings)) as reader:
            found = await verify_log(
                reader, verifiers=service.log_keys.verifiers, kept={"kept": kept} if kept else None
            )
        return [str(finding) for finding in found.findings]

    return run


async def position_of(owner, leaf: int) -> int:
    return await owner.fetchval("SELECT position FROM consent.log_leaves WHERE leaf_index = $1", leaf)


async def test_s19_untouched_log_verifies(kept, verified) -> None:
    assert await verified(kept) == []


@pytest.mark.parametrize(
    "change",
    [
        "consent_text_version = '2020-01'",
        "jurisdiction = 'generic'",
        "epoch = epoch + 1",
        "expires_at = expires_at + interval '1 year'",
        "occurred_at = occurred_at - interval '1 microsecond'",
        "commitment = repeat('0', 64)",
        "text_digest = repeat('0', 64)",
        "territories_digest = NULL",
    ],
    ids=lambda change: "S19-edited-" + change.split()[0],
)
async def test_s19_edited_or_restamped_entry_is_named(kept, verified, owner, change) -> None:
    position = await position_of(owner, 2)
    await owner.execute(f"UPDATE consent.entries SET {change} WHERE position = $1", position)
    assert await verified() == [f"leaf 2: the entry at position {position} does not say what was sealed"]


async def test_s19_entry_given_to_somebody_else_is_named(kept, verified, owner) -> None:
    position = await position_of(owner, 2)
    await owner.execute(
        "UPDATE consent.entries SET user_id = gen_random_uuid() WHERE position = $1", position
    )
    [found] = await verified()
    assert found.startswith("leaf 2: the personal fields of the entry")


async def test_s19_deleted_entry_is_named(kept, verified, owner) -> None:
    position = await position_of(owner, 3)
    await owner.execute("DELETE FROM consent.entries WHERE position = $1", position)
    assert await verified() == [f"leaf 3: the entry at position {position} is gone"]


async def test_s19_reordered_entries_are_named(kept, verified, owner) -> None:
    one, other = await position_of(owner, 1), await position_of(owner, 4)
    for position, new in ((one, -1), (other, one), (-1, other)):
        await owner.execute(
            "UPDATE consent.log_leaves SET position = $2 WHERE position = $1 AND source = 'entry'",
            position,
            new,
        )
    assert await verified() == [
        f"leaf 1: the entry at position {other} stands in the place of leaf 4",
        f"leaf 4: the entry at position {one} stands in the place of leaf 1",
    ]


async def test_s19_truncated_log_is_named(kept, verified, owner) -> None:
    await owner.execute("DELETE FROM consent.log_leaves WHERE leaf_index >= 4")
    found = await verified(kept)
    assert "leaf 4: is missing, with all up to leaf 5 of the kept checkpoint kept" in found
    assert sum(text.endswith("is in no leaf") for text in found) == 2


async def test_s19_log_truncated_with_its_entries_and_checkpoints_is_found_by_who_kept_one(
    kept, verified, owner
) -> None:
    positions = [await position_of(owner, leaf) for leaf in (4, 5)]
    await owner.execute("DELETE FROM consent.entries WHERE position = ANY($1)", positions)
    await owner.execute("DELETE FROM consent.log_leaves WHERE leaf_index >= 4")
    await owner.execute("DELETE FROM consent.log_checkpoints WHERE tree_size > 4")

    assert await verified() == []
    assert await verified(kept) == ["leaf 4: is missing, with all up to leaf 5 of the kept checkpoint kept"]


async def test_s19_leaf_taken_out_of_the_middle_is_named(kept, verified, owner) -> None:
    await owner.execute("DELETE FROM consent.log_leaves WHERE leaf_index = 2")
    assert (await verified())[0] == "leaf 2: is missing, with all before leaf 3"


async def forge(owner, leaf: int) -> None:
    """Edit an entry and the hash of its leaf, so that both fit each other."""
    position = await position_of(owner, leaf)
    row = await owner.fetchrow(
        "UPDATE consent.entries SET jurisdiction = 'generic' WHERE position = $1 RETURNING *", position
    )
    forged = leaf_hash(leaf_of_entry(row))
    await owner.execute("UPDATE consent.log_leaves SET leaf_hash = $2 WHERE leaf_index = $1", leaf, forged)


async def test_s19_rewritten_tree_is_found_by_its_signed_checkpoints(kept, verified, owner) -> None:
    await forge(owner, 3)
    assert await verified() == [
        "leaf 3: from here up to leaf 3 the tree is not that of the checkpoint of 4 leaves"
    ]


async def test_s19_tree_rewritten_with_its_checkpoints_is_found_by_who_kept_one(
    kept, verified, owner, service
) -> None:
    await forge(owner, 3)
    await owner.execute("DELETE FROM consent.log_checkpoints WHERE tree_size > 3")
    assert await verified() == []
    assert await verified(kept) == [
        "leaf 3: from here up to leaf 5 the tree is not that of the kept checkpoint kept"
    ]


async def test_s19_checkpoint_that_the_log_has_not_signed_is_named(kept, verified, owner) -> None:
    await forge(owner, 3)
    root = "decode(repeat('00', 32), 'hex')"
    await owner.execute(f"UPDATE consent.log_checkpoints SET root_hash = {root} WHERE tree_size = 5")
    await owner.execute("UPDATE consent.log_checkpoints SET note = replace(note, E'\\n6\\n', E'\\n7\\n')")
    found = await verified()
    assert "the checkpoint 5 is not the one that was signed" in found
    assert any(text.startswith("the checkpoint 6 is not signed by the log") for text in found)
    assert any(text.startswith("leaf 3:") for text in found)


async def test_s19_after_an_erasure_everything_verifies(
    person, service, verified, open_erasure, kept, owner
) -> None:
    anna = person()
    await anna.agree()
    await seal_log(service.database, keys=service.log_keys, clock=service.clock)
    await open_erasure(anna.id)
    await CONSENT.participation(service).work_once()
    assert await owner.fetchval("SELECT count(*) FROM consent.entries WHERE salt IS NULL") == 1
    assert await verified(kept) == []


async def test_s19_command_says_what_does_not_hold(kept, owner, service, platform, tmp_path: Path) -> None:
    keys, checkpoint = tmp_path / "jwks.json", tmp_path / "checkpoint"
    keys.write_text(json.dumps({"keys": service.log_keys.published}))
    checkpoint.write_text(kept)

    async def run() -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "consent", "ledger", "verify"),
            *("--keys", str(keys), "--checkpoint", str(checkpoint)),
            env={
                "PATH": os.environ["PATH"],
                "CONSENT_DATABASE_URL": platform.environment("consent")["CONSENT_DATABASE_URL"],
            },
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    assert await run() == (0, "6 leaves and 7 checkpoints hold\n")
    position = await position_of(owner, 2)
    await owner.execute("UPDATE consent.entries SET epoch = 9 WHERE position = $1", position)
    assert await run() == (
        1,
        (
            f"leaf 2: the entry at position {position} does not say what was sealed\n"
            "6 leaves and 7 checkpoints do not hold\n"
        ),
    )

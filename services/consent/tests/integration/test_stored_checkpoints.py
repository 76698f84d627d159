"""K35: checkpoints get into the object store, no sealing waits for that, and the log is held against them."""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chassis.object_store_faults import ObjectStoreRefused
from consent.archive import FOLDER, CheckpointArchive
from consent.transparency.checkpoint import Checkpoint
from consent.transparency.note import Note
from consent.use_cases.seal_log import seal_log
from consent.use_cases.store_checkpoints import Storing
from support import eventually


@pytest.fixture
async def archive(settings, platform):
    """The archive as the service reaches it, empty of what other tests have stored."""
    access_key, secret_key = platform.servers.s3_admin
    admin = settings.model_copy(
        update={
            "s3_access_key": type(settings.s3_access_key)(access_key),
            "s3_secret_key": type(settings.s3_secret_key)(secret_key),
        }
    )
    async with CheckpointArchive.open(admin) as everything:
        await everything._objects.delete_everything(FOLDER)
    async with CheckpointArchive.open(settings) as opened:
        yield opened


@asynccontextmanager
async def running(storing: Storing):
    task = asyncio.create_task(storing.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def agree_and_seal(person, service, times: int) -> None:
    for _ in range(times):
        await person().agree()
        await seal_log(service.database, keys=service.log_keys, clock=service.clock)


async def sizes(archive: CheckpointArchive) -> list[int]:
    return [Checkpoint.parse(Note.parse(text).text).size async for _, text in archive.notes()]


async def test_k35_every_checkpoint_is_stored_as_it_was_signed(person, service, archive, admin) -> None:
    await agree_and_seal(person, service, 3)
    async with running(Storing(service.database, service.settings)):

        async def stored() -> None:
            assert await admin.fetchval("SELECT count(*) FROM consent.log_uploads") == 0

        await eventually(stored)
    signed = await admin.fetch("SELECT note FROM consent.log_checkpoints ORDER BY tree_size")
    assert [text async for _, text in archive.notes()] == [row["note"] for row in signed]


async def test_k35_while_the_store_is_down_all_goes_on_and_objects_follow(
    person, service, archive, admin
) -> None:
    away = service.settings.model_copy(update={"s3_endpoint_url": "http://127.0.0.1:1"})
    storing = Storing(service.database, away)
    async with running(storing):
        await agree_and_seal(person, service, 2)

        async def tells() -> None:
            assert (await storing.tell()).startswith("2 wait, 0 failing, the oldest for ")

        await eventually(tells)
        assert await admin.fetchval("SELECT max(tree_size) FROM consent.log_checkpoints") == 2
    assert await sizes(archive) == []

    back = Storing(service.database, service.settings)
    async with running(back):

        async def followed() -> None:
            assert await back.tell() is None

        await eventually(followed)
    assert await sizes(archive) == [1, 2]


async def test_s19_what_was_stored_once_stays_to_be_read(archive) -> None:
    await archive.add(7, "first")
    await archive.add(7, "rewritten")
    assert {text async for _, text in archive.notes()} == {"first", "rewritten"}
    with pytest.raises(ObjectStoreRefused):
        await archive._objects.delete_everything(FOLDER)


async def test_s19_log_is_held_against_the_stored_checkpoints(
    person, service, archive, admin, platform, tmp_path: Path
) -> None:
    await agree_and_seal(person, service, 4)
    for row in await admin.fetch("SELECT tree_size, note FROM consent.log_checkpoints WHERE tree_size < 4"):
        await archive.add(row["tree_size"], row["note"])
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": service.log_keys.published}))

    async def verify() -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "consent", "ledger", "verify", "--keys", str(keys), "--stored"),
            env={"PATH": os.environ["PATH"], **platform.environment("consent")},
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    assert await verify() == (0, "4 leaves and 7 checkpoints hold\n"), "the last one waits"
    await admin.execute("DELETE FROM consent.log_uploads")
    lost = "the checkpoint of 4 leaves is gone from the object store\n"
    assert await verify() == (1, f"{lost}4 leaves and 7 checkpoints do not hold\n")
    # The owner of the schema takes the last entries away, with everything that tells of them.
    gone = "SELECT position FROM consent.log_leaves WHERE leaf_index >= 2"
    await admin.execute(f"DELETE FROM consent.entries WHERE position IN ({gone})")
    await admin.execute("DELETE FROM consent.log_leaves WHERE leaf_index >= 2")
    await admin.execute("DELETE FROM consent.log_checkpoints WHERE tree_size > 2")
    status, said = await verify()
    assert status == 1
    third = f"{FOLDER}{3:019}"
    assert said.startswith(f"leaf 2: is missing, with all up to leaf 2 of the kept checkpoint {third} (")

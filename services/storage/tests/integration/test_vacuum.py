"""Deleted bytes leave the disk of a real SeaweedFS, whose master is asked to vacuum."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from chassis.object_store import ObjectStoreSettings, open_object_store
from chassis.object_store_faults import ObjectStoreUnavailable
from native.s3 import find_server
from storage.main import vacuum_in_turn
from storage.use_cases.ask_for_vacuum import VacuumNotAsked, ask_for_vacuum
from support import eventually
from support.free_ports import free_port, pick_free

USER = {"accessKey": "somebody", "secretKey": "something-secret"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[tuple[ObjectStoreSettings, str]]:
    """A store of its own, whose master listens without a certificate."""
    ports = pick_free(["master", "volume", "filer", "s3"])
    identity = {"name": "somebody", "credentials": [USER], "actions": ["Admin"]}
    (tmp_path / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (tmp_path / "data").mkdir()
    process = await asyncio.create_subprocess_exec(
        find_server() or "weed",
        f"-logdir={tmp_path}",
        "server",
        f"-dir={tmp_path / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *("-s3", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={tmp_path / 's3.json'}"),
        *("-master.telemetry=false", "-master.electionTimeout=1s", "-master.volumeSizeLimitMB=16"),
        *("-volume.max=0", "-volume.preStopSeconds=1"),
        f"-filer.localSocket={tmp_path / 'f'}",
        f"-s3.localSocket={tmp_path / 's'}",
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    settings = ObjectStoreSettings(
        endpoint_url=f"http://127.0.0.1:{ports['s3']}",
        access_key=USER["accessKey"],
        secret_key=USER["secretKey"],
        bucket="photos",
        region="us-east-1",
    )
    yield settings, f"http://127.0.0.1:{ports['master']}"
    process.send_signal(signal.SIGKILL)
    await process.wait()


def on_disk(directory: Path, data: bytes) -> bool:
    return any(data in file.read_bytes() for file in directory.rglob("*") if file.is_file())


@pytest.mark.chaos
async def test_what_was_deleted_is_on_no_disk_after_the_vacuum(store, tmp_path) -> None:
    settings, master_url = store
    sealed = os.urandom(50_000)
    async with open_object_store(settings) as objects:

        async def written() -> None:
            try:
                await objects.ensure_bucket()
                await objects._client.put_object(Bucket=settings.bucket, Key="person/photo", Body=sealed)
            except (ObjectStoreUnavailable, ClientError) as error:
                raise AssertionError("the store is not there yet") from error

        await eventually(written, seconds=60)
        assert on_disk(tmp_path / "data", sealed[1000:1100])
        await objects.delete_everything("person/")
        assert on_disk(tmp_path / "data", sealed[1000:1100])

        async def gone() -> None:
            await ask_for_vacuum(master_url)
            assert not on_disk(tmp_path / "data", sealed[1000:1100])

        await eventually(gone, seconds=60)


async def test_a_master_that_does_not_answer_is_a_passing_fault() -> None:
    with pytest.raises(VacuumNotAsked):
        await ask_for_vacuum(f"http://127.0.0.1:{free_port()}")


def test_nobody_is_asked_unless_it_is_said_whom(settings_of_platform) -> None:
    assert vacuum_in_turn(settings_of_platform) == []
    asked = settings_of_platform.model_copy(update={"vacuum_url": "http://127.0.0.1:1"})
    assert [it.name for it in vacuum_in_turn(asked)] == ["vacuum"]

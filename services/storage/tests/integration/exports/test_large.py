"""A person with many photos: the archive is made in bounded memory by workers that are killed meanwhile."""

import asyncio
import hashlib
import json
import os
import random
import sys
import time
import zipfile
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from chassis.ids import new_id
from storage.models import Export, Photo
from storage.policy import Rendition
from support import eventually

MEBIBYTE = 1 << 20
PHOTO_BYTES = 3 * MEBIBYTE
MOST_MEMORY = 200 * MEBIBYTE
LONGEST_SECONDS = 1500


class Worker:
    """Storage's worker as a process of its own, and the most memory that it ever took."""

    def __init__(self, platform, settings) -> None:
        self._environment = {
            **os.environ,
            **platform.environment("storage"),
            "STORAGE_CONSENT_URL": settings.consent_url,
            "STORAGE_S3_ENDPOINT_URL": settings.s3_endpoint_url,
        }
        self.peak = 0

    @asynccontextmanager
    async def running(self):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "storage", "worker"),
            env=self._environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.kill()
            await process.wait()

    def look(self, process) -> None:
        """Note the most that the process has taken so far (proc(5), VmHWM)."""
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                self.peak = max(self.peak, int(line.split()[1]) * 1024)


async def take_pictures(service, person, consent, number: int) -> dict[str, str]:
    """Store photos of noise past the camera; return the digests by file."""
    epoch, digests = consent._answers[str(person.id)]["epoch"], {}
    for seed in range(number):
        photo_id, now = new_id(), service.clock.now()
        content = random.Random(seed).randbytes(PHOTO_BYTES)
        place = service.vault.locate(person.id, photo_id, version=1)
        await service.vault.put(place, {Rendition.ORIGINAL: content})
        async with service.unit_of_work() as uow:
            uow.session.add(
                Photo(
                    id=photo_id,
                    user_id=person.id,
                    s3_key=place.key(Rendition.ORIGINAL),
                    declared_type="image/jpeg",
                    consent_id=new_id(),
                    consent_epoch=epoch,
                    upload_token_hash="0" * 64,
                    upload_expires_at=now,
                    received_at=now,
                    received_bytes=len(content),
                    content_type="image/jpeg",
                    width=1,
                    height=1,
                    sealed_version=1,
                    confirmed_at=now,
                    created_at=now,
                    updated_at=now,
                )
            )
        digests[f"photos/{photo_id}.jpg"] = hashlib.sha256(content).hexdigest()
    return digests


async def progress_of(service, export_id: UUID) -> Export:
    """Look at the row: an access token does not last as long as this test."""
    async with service.database.read_only() as session:
        return await session.get_one(Export, export_id)


async def check_every_byte(service, export_id: UUID, digests, file: Path) -> int:
    """Hold the archive against the photos and its own manifest, piece by piece; return its size."""
    archive = await service.downloads.begin(export_id, version=1)
    with file.open("wb") as target:
        async for piece in service.downloads.pieces(archive):
            target.write(piece)
    with zipfile.ZipFile(file) as opened:
        told = json.loads(opened.read("manifest.json"))["files"]
        for entry in told:
            with opened.open(entry["path"]) as content:
                assert hashlib.file_digest(content, "sha256").hexdigest() == entry["sha256"]
        assert {it["path"]: it["sha256"] for it in told if it["path"] in digests} == digests
        assert len(told) == len(opened.namelist()) - 1
    return archive.size


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.chaos
@pytest.mark.timeout(2 * LONGEST_SECONDS)
@pytest.mark.parametrize(("photos", "kills"), [(500, 3)])
async def test_archive_is_made_in_bounded_memory_by_workers_that_are_killed(
    platform, settings, service, exporter, ada, consent, contribute, tmp_path, photos, kills
) -> None:
    digests = await take_pictures(service, ada, consent, photos)
    await platform.purge_queues()
    export_id = await exporter.ask()
    await contribute(export_id)
    export_id = UUID(export_id)
    worker, began = Worker(platform, settings), time.monotonic()

    for killed in range(1, kills + 1):
        async with worker.running() as process:

            async def has_come_so_far(share=killed, process=process) -> None:
                worker.look(process)
                progress = await progress_of(service, export_id)
                assert progress.photos >= photos * share // (kills + 1)

            await eventually(has_come_so_far, seconds=LONGEST_SECONDS)
    async with worker.running() as process:

        async def is_ready() -> None:
            worker.look(process)
            assert (await progress_of(service, export_id)).status == "ready"

        await eventually(is_ready, seconds=LONGEST_SECONDS)
    took = time.monotonic() - began
    size = await check_every_byte(service, export_id, digests, tmp_path / "archive.zip")

    print(
        f"\n{photos} photos, {size / 1e9:.2f} GB, {kills} kills: {took:.0f} s, "
        f"{worker.peak / MEBIBYTE:.0f} MiB of memory at most"
    )
    assert worker.peak <= MOST_MEMORY

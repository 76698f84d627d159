"""Whoever edits a source finds the process that runs it started anew."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cluster.layout import Layout
from native.services import watching
from support.eventually import eventually

RECORD = "import os, pathlib, time; pathlib.Path('{}').open('a').write('started\\n'); time.sleep(600)"
SECONDS = 2


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    for place in ("libs/chassis/src", "services/identity/src", "services/consent/src"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "module.py").write_text("x = 1\n")
    return Layout(tmp_path, tmp_path, tmp_path / "var")


@pytest.fixture
async def starts(layout: Layout) -> AsyncIterator[Path]:
    record = layout.checkout / "starts"
    record.touch()
    command = (sys.executable, "-c", RECORD.format(record))
    process = await asyncio.create_subprocess_exec(
        *watching(layout, "identity", command), start_new_session=True
    )
    yield record
    os.killpg(process.pid, signal.SIGTERM)
    await process.wait()


async def has_started(record: Path, times: int) -> None:
    assert (await asyncio.to_thread(record.read_text)).count("started") == times


@pytest.mark.parametrize("place", ["services/identity/src", "libs/chassis/src"])
async def test_process_starts_anew_within_two_seconds_of_a_change(
    layout: Layout, starts: Path, place: str
) -> None:
    async def changed() -> None:
        # The watch itself begins some moment after the process that it watches for.
        (layout.checkout / place / "module.py").write_text(f"x = {time.monotonic()}\n")
        await eventually(lambda: has_started(starts, 2), seconds=SECONDS)

    await eventually(lambda: has_started(starts, 1), seconds=20)
    await eventually(changed, seconds=20)


async def test_change_of_another_service_changes_nothing(layout: Layout, starts: Path) -> None:
    await eventually(lambda: has_started(starts, 1), seconds=20)
    (layout.checkout / "services/consent/src/module.py").write_text("x = 2\n")

    with pytest.raises(AssertionError):
        await eventually(lambda: has_started(starts, 2), seconds=SECONDS)

"""S11: ninety hostile files get the answers that they deserve, in bounded memory; nothing of them is kept."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from storage.imaging import DecodingSandbox, ImagingError, SandboxLimits
from support.hostile_pictures import MOST_BYTES, defused_files, hostile_files

MOST_ADDED_MEMORY = 512 << 20
MOST_SECONDS = 5
LOOKS_EVERY_SECONDS = 0.02
AT_ONCE = 4
only_on_linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc")


def family(pid: int) -> Iterator[int]:
    """Yield a process and all that came of it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                yield from family(int(child))


def memory_of(pids: Iterator[int]) -> int:
    """Return the resident bytes of processes; what two of them share counts twice (proc(5), statm)."""
    total = 0
    for pid in pids:
        # One that has ended meanwhile holds nothing.
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return total


def seconds_of(pid: int) -> float:
    """Return the processor time of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def watched_memory() -> AsyncIterator[list[int]]:
    """Look at what this process and its family take, again and again; the list has what each look saw."""
    seen = [memory_of(family(os.getpid()))]

    async def look() -> None:
        while True:
            seen.append(memory_of(family(os.getpid())))
            await asyncio.sleep(LOOKS_EVERY_SECONDS)

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()


@only_on_linux
async def test_s11_hostile_files_are_refused_each_as_it_deserves_in_bounded_memory(
    ada, grace, service, pictures
) -> None:
    files = hostile_files(pictures.heic())
    assert len(files) >= 60
    await ada.upload(pictures.jpeg())
    answers: dict[str, tuple[int, str]] = {}
    places = asyncio.Semaphore(AT_ONCE)

    async def send(person, hostile) -> None:
        async with places:
            answer = await person.put(await person.ticket(hostile.declared), hostile.body, hostile.declared)
            kind = answer.json().get("type", "").removeprefix("urn:irisvue:problem:")
            answers[hostile.name] = (answer.status_code, kind)

    async with watched_memory() as seen:
        await asyncio.gather(*(send((ada, grace)[turn % 2], it) for turn, it in enumerate(files)))

    assert {it.name: answers[it.name] for it in files} == {it.name: it.expected for it in files}
    held = await service.vault.count_objects([ada.id, grace.id])
    # Of the one honest picture there are two renditions.
    assert held == {ada.id: 2, grace.id: 0}
    added = max(seen) - seen[0]
    print(f"\n{len(files)} hostile files: {added >> 20} MiB above idle at most, in {len(seen)} looks")
    assert added <= MOST_ADDED_MEMORY


@only_on_linux
async def test_s11_no_file_takes_more_than_five_seconds_of_a_processor(pictures) -> None:
    spent: dict[str, float] = {}
    async with DecodingSandbox(SandboxLimits(processes=1)) as sandbox:
        await sandbox.examine(pictures.jpeg(), "image/jpeg")
        for hostile in hostile_files(pictures.heic()):
            if len(hostile.body) > MOST_BYTES:
                continue
            before = seconds_of(sandbox._idle[0].pid)
            with contextlib.suppress(ImagingError):
                await sandbox.examine(hostile.body, hostile.declared)
            spent[hostile.name] = seconds_of(sandbox._idle[0].pid) - before
    assert {name: seconds for name, seconds in spent.items() if seconds > MOST_SECONDS} == {}


@only_on_linux
async def test_s11_of_bombs_and_strangers_inside_honest_pictures_nothing_is_kept(ada, pictures) -> None:
    async with watched_memory() as seen:
        for declared, body in defused_files().values():
            photo = await ada.upload(body, declared)
            for link in ("original_url", "thumbnail_url"):
                read = (await ada.read(photo[link])).content
                assert not any(
                    stranger in read for stranger in (b"canary", b"<svg", b"<script", b"PK\x03\x04")
                )
    assert max(seen) - seen[0] <= MOST_ADDED_MEMORY

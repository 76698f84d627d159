"""Prove that uploaded bytes are a picture, strip and measure them and make a thumbnail, in a bounded sandbox.

The picture is decoded by another process (storage.imaging_worker) with hard limits on memory, processor time,
pixels and answer size; this side only moves bytes. Nothing is written to disk.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from chassis.faults import TransientFault
from storage.confinement import system_call_filter
from storage.frames import write_frame

ACCEPTED_TYPES: Final = ("image/jpeg", "image/png", "image/heic", "image/webp")
_LENGTH_BYTES: Final = 4


class ImagingError(Exception):
    """A picture was not accepted; the message says why and carries nothing of its content."""


class UnsupportedImage(ImagingError):
    """The bytes are not a picture of the declared type, or can't be decoded within the limits."""


class ImageTooLarge(ImagingError):
    """The picture has more pixels than are accepted, or decoding it needs too much memory."""


class SandboxUnavailable(ImagingError, TransientFault):
    """The sandbox did not answer in time; the same picture may be accepted later."""


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Bounds per picture, and how many pictures are decoded at once."""

    memory_bytes: int = 896 * 1024 * 1024
    cpu_seconds: int = 20
    wall_seconds: float = 45.0
    pixels: int = 52_000_000
    output_bytes: int = 48 * 1024 * 1024
    processes: int = 2


@dataclass(frozen=True, slots=True)
class Picture:
    """What an accepted upload became: `original` without metadata, a JPEG `thumbnail` of at most 512 pixels.

    Width and height are those of the picture as it is shown: an orientation that the file carries is applied.
    """

    content_type: str
    width: int
    height: int
    original: bytes
    thumbnail: bytes


class DecodingSandbox:
    """A small pool of warm sandbox processes; use it as an async context manager."""

    def __init__(self, limits: SandboxLimits | None = None) -> None:
        self._limits = limits or SandboxLimits()
        self._slots = asyncio.Semaphore(self._limits.processes)
        self._idle: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        """Raise `ConfinementUnavailable` at once on a system where no picture could be decoded safely."""
        system_call_filter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._idle:
            await _end(self._idle.pop())

    async def examine(self, body: bytes, declared: str) -> Picture:
        """Return the picture, or raise UnsupportedImage, ImageTooLarge or SandboxUnavailable."""
        if declared not in ACCEPTED_TYPES:
            raise UnsupportedImage(f"Only {', '.join(ACCEPTED_TYPES)} are accepted.")
        async with self._slots:
            process = await self._take()
            answered = False
            try:
                async with asyncio.timeout(self._limits.wall_seconds):
                    head, parts = await _ask(process, body, declared)
                answered = True
            except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
                raise SandboxUnavailable("The picture could not be examined in time; try again.") from error
            finally:
                # A process that was interrupted half-way can't be trusted with the next frame.
                if answered:
                    self._idle.append(process)
                else:
                    await asyncio.shield(_end(process))
        return _picture(head, parts)

    async def _take(self) -> asyncio.subprocess.Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
            await _end(process)
        return await self._start()

    async def _start(self) -> asyncio.subprocess.Process:
        limits = self._limits
        numbers = (limits.memory_bytes, limits.cpu_seconds, limits.pixels, limits.output_bytes)
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-m",
                "storage.imaging_worker",
                *(str(number) for number in numbers),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                # One arena keeps the address space of a process near what it really uses.
                env={"MALLOC_ARENA_MAX": "1"},
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxUnavailable("The decoding sandbox can't be started; try again.") from error


async def _ask(
    process: asyncio.subprocess.Process, body: bytes, declared: str
) -> tuple[dict[str, Any], list[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise SandboxUnavailable("The decoding sandbox has no pipes.")
    process.stdin.write(write_frame({"declared": declared}, body))
    await process.stdin.drain()
    length = int.from_bytes(await process.stdout.readexactly(_LENGTH_BYTES))
    head: dict[str, Any] = json.loads(await process.stdout.readexactly(length))
    return head, [await process.stdout.readexactly(size) for size in head["sizes"]]


def _picture(head: dict[str, Any], parts: list[bytes]) -> Picture:
    match head.get("refused"):
        case None:
            original, thumbnail = parts
            return Picture(head["content_type"], head["width"], head["height"], original, thumbnail)
        case "too-large":
            raise ImageTooLarge(f"The picture is too large: {head['reason']}.")
        case _:
            raise UnsupportedImage(f"The picture is not accepted: {head['reason']}.")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the process and whatever it forked, and wait until it and its pipes are gone."""
    if process.returncode is None:
        # It may have ended by itself in the meantime, which is what is wanted.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
        with contextlib.suppress(ConnectionError):
            await process.stdin.wait_closed()
    if process.stdout is not None:
        # Only at the end of its output is the pipe's transport closed.
        await process.stdout.read()
    await process.wait()

"""What a picture may take in memory is known before it is decoded, and holds."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from PIL import Image

from storage.imaging import SandboxLimits
from storage.picture_memory import SANDBOX_OVERHEAD_BYTES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the memory of a process")

DATA = Path(__file__).parents[1] / "data"
WIDTH, HEIGHT = 4_000, 3_000

# Says what examining one picture added to the address space of a process, and what was expected of it.
MEASURE = """
import json, sys
from storage.confinement import Limits
from storage import examination

def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))

expected = []

def listening(estimate):
    def listen(*arguments):
        expected.append(estimate(*arguments))
        return expected[-1]
    return listen

declared, recode, body = sys.argv[1], sys.argv[2] == "recode", sys.stdin.buffer.read()
limits = Limits(4 << 30, 60, 60_000_000, 64 << 20)
examination.prepare(limits)
examination.bytes_needed = listening(examination.bytes_needed)
examination.bytes_needed_to_recode = listening(examination.bytes_needed_to_recode)
before = kilobytes("VmSize")
examination.examine(declared, body, limits, recode=recode)
# What is encoded anew is admitted twice: as what it is, and as what takes more.
json.dump({"taken": (kilobytes("VmPeak") - before) * 1024, "expected": max(expected)}, sys.stdout)
"""


def picture(mode: str, name: str, **options: object) -> Callable[[], tuple[str, bytes]]:
    def build() -> tuple[str, bytes]:
        image = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
        if mode in ("P", "PA"):
            image = image.quantize(16)
        elif mode != "L":
            image = image.convert(mode)
        target = io.BytesIO()
        image.save(target, name, **options)
        return f"image/{name.lower()}", target.getvalue()

    return build


def heic(name: str) -> Callable[[], tuple[str, bytes]]:
    return lambda: ("image/heic", (DATA / f"{name}.heic").read_bytes())


PICTURES: dict[str, Callable[[], tuple[str, bytes]]] = {
    "JPEG grey": picture("L", "JPEG"),
    "JPEG 4:2:0": picture("RGB", "JPEG"),
    "JPEG 4:4:4": picture("RGB", "JPEG", subsampling=0, quality=95),
    "JPEG progressive": picture("RGB", "JPEG", subsampling=0, progressive=True),
    "JPEG of four inks": picture("CMYK", "JPEG"),
    "PNG of two colours": picture("1", "PNG"),
    "PNG grey": picture("L", "PNG"),
    "PNG grey, 16 bits": picture("I;16", "PNG"),
    "PNG with a palette": picture("P", "PNG"),
    "PNG with a transparent palette": picture("P", "PNG", transparency=bytes(range(16))),
    "PNG grey with alpha": picture("LA", "PNG"),
    "PNG of colour": picture("RGB", "PNG"),
    "PNG of colour, one transparent": picture("RGB", "PNG", transparency=(1, 2, 3)),
    "PNG of colour with alpha": picture("RGBA", "PNG"),
    "WebP lossless": picture("RGB", "WEBP", lossless=True, method=0),
    "WebP lossless with alpha": picture("RGBA", "WEBP", lossless=True, method=0, exact=True),
    "WebP": picture("RGB", "WEBP", method=0),
    "HEIC 4:2:0": heic("eight-bits-420"),
    "HEIC 4:4:4": heic("eight-bits-444"),
    "HEIC with alpha": heic("eight-bits-alpha"),
    "HEIC 4:2:0, 10 bits": heic("ten-bits-420"),
    "HEIC 4:4:4, 10 bits": heic("ten-bits-444"),
    "HEIC with alpha, 10 bits": heic("ten-bits-alpha"),
}


def assert_expected(declared: str, body: bytes, way: str = "copy") -> None:
    run = subprocess.run(
        [sys.executable, "-I", "-c", MEASURE, declared, way],
        input=body,
        check=False,
        timeout=60,
        capture_output=True,
        env={"MALLOC_ARENA_MAX": "1"},
    )
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert answer["taken"] <= answer["expected"]


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_takes_no_more_memory_than_was_expected(kind: str) -> None:
    assert_expected(*PICTURES[kind]())


@pytest.mark.parametrize("kind", [kind for kind in PICTURES if kind.startswith("JPEG")])
def test_a_jpeg_that_is_encoded_anew_takes_no_more_memory_than_was_expected(kind: str) -> None:
    assert_expected(*PICTURES[kind](), way="recode")


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_progressive_jpeg_that_is_encoded_anew_takes_no_more_memory_than_was_expected(mode: str) -> None:
    assert_expected(*picture(mode, "JPEG", progressive=True, subsampling=0)(), way="recode")


# Two of the dearest pictures of the fewest bytes at once, in a group as small as the sandbox's share.
TWO_AT_ONCE = """
import asyncio, io, os, sys
from PIL import Image

from storage.imaging import SandboxLimits
from storage.picture_memory import SANDBOX_OVERHEAD_BYTES
from storage.imaging import DecodingSandbox, SandboxLimits

with open(sys.argv[1], "w") as members:
    members.write(str(os.getpid()))

async def main():
    target = io.BytesIO()
    Image.new("RGB", (6_320, 6_320)).save(target, "WEBP", lossless=True, method=0)
    body = target.getvalue()
    assert len(body) < 4_000, len(body)
    async with DecodingSandbox(SandboxLimits(processes=2)) as sandbox:
        for picture in await asyncio.gather(*(sandbox.examine(body, "image/webp") for _ in range(2))):
            assert (picture.width, picture.height) == (6_320, 6_320)

asyncio.run(main())
"""


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A memory control group (version 1 or 2) of what the container leaves to the sandbox."""
    limits = SandboxLimits()
    share = limits.processes * (limits.memory_bytes + SANDBOX_OVERHEAD_BYTES)
    version_1 = Path("/sys/fs/cgroup/memory")
    group = (version_1 if version_1.is_dir() else Path("/sys/fs/cgroup")) / f"storage-test-{uuid4().hex}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if version_1.is_dir() else "memory.max")).write_text(str(share))
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error.strerror}")
    yield group
    group.rmdir()


def killed_in(group: Path) -> int:
    events = group / "memory.oom_control"
    lines = (events if events.exists() else group / "memory.events").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def test_as_many_pictures_as_are_decoded_at_once_fit_into_the_container(small_group: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-I", "-c", TWO_AT_ONCE, str(small_group / "cgroup.procs")],
        check=False,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert killed_in(small_group) == 0

"""No lock holds a version that is known to be harmful."""

import re
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKED = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)

# The first version without the fault, and the fault.
FLOORS = {
    "starlette": ("1.5.1", "a Host header that misleads, limits of forms ignored, ranges that take minutes"),
    "python-multipart": ("0.0.30", "paths that leave their directory, parts that never end"),
    "pyjwt": ("2.14", "a list of algorithms that a JWK walks around"),
    "joserfc": ("1.7.4", "signatures of the JSON serialisation"),
    "redis": ("4.5.5", "after a cancelled call the answer of somebody else (CVE-2023-28858, CVE-2023-28859)"),
    "asyncpg": ("0.31", "connections that a cancelled call leaves in a transaction"),
    "h11": ("0.16", "chunked bodies that smuggle a request"),
    "orjson": ("3.9.15", "recursion without a bound (CVE-2024-27454)"),
    "pillow": ("10.3", "buffer overflow in a decoder (CVE-2024-28219)"),
    "cryptography": ("42.0.4", "a crash that a certificate causes (CVE-2024-26130)"),
    "aiohttp": ("3.10.11", "requests smuggled in chunk extensions (CVE-2024-52304)"),
}
# Unmaintained, or with faults that no version mends.
BANNED = {"python-jose", "authlib", "pycrypto", "jose"}


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_locked_versions_are_above_the_floors(lock: str) -> None:
    locked = dict(LOCKED.findall((ROOT / lock).read_text()))
    below = {
        name: f"{locked[name]} < {floor}: {fault}"
        for name, (floor, fault) in FLOORS.items()
        if name in locked and Version(locked[name]) < Version(floor)
    }

    assert not below
    assert not BANNED & locked.keys()


def test_floors_name_what_the_platform_rests_on() -> None:
    locked = dict(LOCKED.findall((ROOT / "requirements.txt").read_text()))

    assert {"starlette", "pyjwt", "redis", "asyncpg", "h11", "pillow", "cryptography"} <= locked.keys()

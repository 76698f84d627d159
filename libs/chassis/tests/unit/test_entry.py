"""What an operator sees of a command that could not end."""

import os
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PROGRAM = """
from pydantic_settings import SettingsConfigDict
from chassis.entry import run_service
from chassis.http import NeighbourUnavailable
from chassis.settings import ServiceSettings

FAULTS = {
    "neighbour": NeighbourUnavailable("consent answered 503"),
    "line": ConnectionRefusedError("ada@example.com"),
    "mistake": ValueError("a mistake of ours"),
    "file": FileNotFoundError(2, "No such file", "report.json"),
}

def add(commands):
    for name in FAULTS:
        commands.add_parser(name)

def fail(settings, arguments):
    raise FAULTS[arguments.process]

class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="PROBE_")

run_service("probe", Settings, {}, add_commands=add, run_command=fail)
"""


KEY = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
SETTINGS = {"PROBE_PORT": "1", "PROBE_SERVICE_KEY": KEY.decode(), "PROBE_SERVICE_PUBLIC_KEYS": "{}"}


def run(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, command],
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "words"), [("neighbour", "consent answered 503"), ("line", "ConnectionRefusedError")]
)
def test_command_that_a_passing_fault_ends_says_so_in_a_line(command, words) -> None:
    ended = run(command)
    assert ended.returncode == 75
    assert ended.stderr.startswith(f"error: {words}")
    assert "Traceback" not in ended.stderr
    assert "example.com" not in ended.stderr


@pytest.mark.parametrize("command", ["mistake", "file"])
def test_command_that_a_mistake_ends_shows_where(command) -> None:
    ended = run(command)
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr

"""What a native process needs to be started, whoever starts it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Whoever starts one of our processes gives it this variable, by which leftovers of a crashed run can be told
# from processes that belong to somebody else.
MARKER = "IRISVUE_CLUSTER_VAR"


@dataclass(frozen=True)
class Program:
    """One long-running process."""

    name: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    account: str | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    stop_as_group: bool = True
    ports: Mapping[str, int] = field(default_factory=dict)


def configured(text: str) -> dict[str, str]:
    """Return a variable that changes with a configuration file, so that a new one restarts its program."""
    return {"IRISVUE_CONFIGURATION": hashlib.sha256(text.encode()).hexdigest()}


def write_private(file: Path, text: str) -> None:
    """Write a file that only this user can read."""
    file.touch(mode=0o600)
    file.write_text(text)


def ports_of(values: Mapping[str, str], *names: str) -> dict[str, int]:
    """Return the ports of these variables."""
    return {name: int(values[name]) for name in names}

"""Whether a Docker engine with Compose can be used."""

import shutil
import subprocess

ANSWER_SECONDS = 8


def why_not() -> str | None:
    """None when containers can be used here, else the reason."""
    if shutil.which("docker") is None:
        return "the command docker is not installed"
    if not _works(["docker", "info"]):
        return "no Docker engine answers `docker info`"
    if not _works(["docker", "compose", "version"]):
        return "`docker compose` is not installed"
    return None


def _works(command: list[str]) -> bool:
    try:
        result = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=ANSWER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return result.returncode == 0

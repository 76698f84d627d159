"""A service more needs one entry in the registry and a folder of its own; erasures wait for it then."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.layout import Layout

ROOT = Layout.of().checkout
JOURNAL = ROOT / "infra" / "tests" / "journal"
ENTRY = '        Member("journal", asks=("identity",)),\n'
CODE = ("libs/*/src", "infra/src", "services/*/src", "tools", "tests")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of what the project runs from, with the journal in it."""
    skipped = shutil.ignore_patterns("__pycache__", "node_modules", "viewer")
    for name in ("libs", "services", "infra", "tools", "tests/support"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=skipped)
    for name in ("compose.yaml", ".env.example"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(JOURNAL, tmp_path / "services" / "journal", ignore=skipped)
    registry = tmp_path / "libs/contracts/src/contracts/registry.py"
    before, last, after = registry.read_text().partition('        Member("gateway"')
    registry.write_text(before + ENTRY + last + after)
    return tmp_path


def run(copy: Path, *command: str) -> str:
    places = [str(place) for pattern in CODE for place in sorted(copy.glob(pattern))]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout


def test_erasure_is_complete_when_a_service_has_reported_that_nothing_else_here_knows(copy: Path) -> None:
    run(copy, "-m", "service_settings")

    status = json.loads(run(copy, "services/journal/erase_a_person.py"))

    reports = {part["service"]: part["erased"] for part in status["participants"]}
    assert reports.keys() == {"consent", "identity", "journal", "storage"}
    assert reports["journal"] == {"entries": 1}

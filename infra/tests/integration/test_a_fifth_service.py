"""`make new-service` writes a service that works: checked like any other, and erasures wait for it."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.layout import Layout
from new_service.writing import Unwritable, require_writable, write

ROOT = Layout.of().checkout
NAME, SECOND = "journal", "photogrammetry"
MYPY_CACHE = ROOT / ".mypy_cache"
ERASING = ROOT / "infra/tests/fifth_service/erase_a_person.py"
CODE = ("libs/*/src", "infra/src", "services/*/src", "tools", "tests")
WITHIN_SECONDS = 120
CHECKS = {
    "format": ("ruff", "format", "--check", "--quiet", "."),
    "style": ("ruff", "check", "--quiet", "."),
    "types": ("mypy", f"services/{NAME}/src", "services/gateway/src/gateway/settings.py"),
    "events": ("event_schemas", "check"),
}
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
# Two services that were written from one template repeat each other, until their owners replace what it says.
BESIDE = {place.name for place in (ROOT / "services").iterdir()} - {
    "identity",
    "consent",
    "storage",
    "gateway",
}
LEFT_OUT = ["test_one_request", "test_rows_have_tests", *(["test_repeats"] if BESIDE else [])]
RULES = ("tests/architecture", "-k", " and ".join(f"not {name}" for name in LEFT_OUT))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project, into which the service was written as its user writes one."""
    copy = tmp_path_factory.mktemp("project")
    # A service that was just written is in no commit yet.
    files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(files, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split("\0"):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    if MYPY_CACHE.is_dir():
        # What was checked and has not changed is not checked again: mypy compares the contents of each file.
        shutil.copytree(MYPY_CACHE, copy / MYPY_CACHE.name)
    told = run(copy, "-m", "new_service", NAME)
    assert f"services/{NAME} works" in told
    return copy


def run(copy: Path, *command: str) -> str:
    places = [str(copy), *(str(place) for pattern in CODE for place in sorted(copy.glob(pattern)))]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if command[0] == "-m" else None,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_new_service_passes_every_check_and_its_own_tests_within_two_minutes(copy: Path) -> None:
    began = time.monotonic()
    for check in CHECKS.values():
        run(copy, "-m", *check)
    run(copy, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
    told = run(copy, *PYTEST, f"services/{NAME}", "services/gateway/tests/contract")

    assert " passed" in told
    assert time.monotonic() - began < WITHIN_SECONDS


def test_rules_of_the_source_hold_with_the_new_service(copy: Path) -> None:
    run(copy, *PYTEST, *RULES, "infra/tests/unit", "services/gateway/tests/unit")


def test_erasure_is_complete_when_the_new_service_has_reported(copy: Path) -> None:
    told = json.loads(run(copy, str(ERASING)))

    reports = {part["service"]: part["erased"] for part in told["status"]["participants"]}
    assert reports.keys() >= {"consent", "identity", NAME, "storage"}
    assert reports[NAME] == {"entries": 1}
    preview = {part["service"]: part["erased"] for part in told["preview"]["participants"]}
    assert preview.keys() == reports.keys()
    assert [(held["kind"], held["count"]) for held in preview[NAME]] == [("entries", 1)]


def test_new_service_is_in_the_data_map_and_at_the_door(copy: Path) -> None:
    document = json.loads((copy / "docs/data-map.json").read_text())
    (own,) = (part for part in document["services"] if part["service"] == NAME)
    assert {entry["column"] for entry in own["columns"] if entry["table"] == f"{NAME}.entries"} == {
        "id",
        "user_id",
        "words",
        "created_at",
    }
    assert f"/api/v1/{NAME}/entries" in (copy / "services/gateway/src/gateway/openapi.json").read_text()
    assert f"{NAME}-worker:" in (copy / "compose.yaml").read_text()


@pytest.mark.parametrize("name", ["Rendering", "a", "my-service", "storage", "native", "keyring", "x" * 33])
def test_name_that_cannot_be_had_is_refused(name: str) -> None:
    with pytest.raises(Unwritable):
        require_writable(ROOT, name)


def test_second_service_finds_its_places_beside_the_first(copy: Path, tmp_path: Path) -> None:
    again = tmp_path / "project"
    shutil.copytree(copy, again, ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache"))
    write(again, SECOND)
    registry = (again / "libs/contracts/src/contracts/registry.py").read_text()
    assert (
        registry.index(f'Member("{NAME}"')
        < registry.index(f'Member("{SECOND}"')
        < registry.index('"gateway",')
    )

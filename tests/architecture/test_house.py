"""Every service looks alike: the same files, the same headings, the same packaging."""

import re
import tomllib
from pathlib import Path

import pytest

from cluster.members import DATABASE_SERVICES as STATEFUL
from cluster.members import SERVICES

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = sorted(
    path.parent for pattern in ("libs", "services", ".") for path in ROOT.glob(f"{pattern}/*/pyproject.toml")
)
HEADINGS = ["Owns", "Publishes", "Consumes", "Configuration"]
MODULES = ("__init__", "__main__", "main", "wiring", "settings", "api")
STATEFUL_MODULES = ("schemas", "policy", "models", "repositories", "use_cases")
STATEFUL_FILES = ("alembic.ini", "migrations/env.py", "migrations/versions", "openapi.json")
LAYERS = ("unit", "contract", "integration")


def missing_modules(folder: Path, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if not (folder / f"{name}.py").is_file() and not (folder / name).is_dir()]


@pytest.mark.parametrize("service", SERVICES)
def test_service_has_the_files_that_every_service_has(service: str) -> None:
    folder = ROOT / "services" / service
    names = MODULES + (STATEFUL_MODULES if service in STATEFUL else ())

    assert not missing_modules(folder / "src" / service, names)
    assert (folder / "pyproject.toml").is_file()
    assert [layer for layer in LAYERS if not (folder / "tests" / layer).is_dir()] == []


@pytest.mark.parametrize("service", STATEFUL)
def test_service_with_a_schema_has_migrations_and_a_snapshot_of_its_api(service: str) -> None:
    folder = ROOT / "services" / service

    assert [name for name in STATEFUL_FILES if not (folder / name).exists()] == []


@pytest.mark.parametrize("service", SERVICES)
def test_readme_of_a_service_has_the_same_headings(service: str) -> None:
    text = (ROOT / "services" / service / "README.md").read_text()
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)

    assert [heading for heading in headings if heading in HEADINGS] == HEADINGS


@pytest.mark.parametrize("service", STATEFUL)
def test_use_case_file_defines_what_its_name_says(service: str) -> None:
    folder = ROOT / "services" / service / "src" / service / "use_cases"
    files = [file for file in folder.rglob("*.py") if file.stem != "__init__"]

    assert files
    for file in files:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", file.stem), f"{file.stem} is no verb with its object"


@pytest.mark.parametrize("member", MEMBERS, ids=lambda path: path.name)
def test_member_can_never_be_published_or_confused_with_a_stranger(member: Path) -> None:
    project = tomllib.loads((member / "pyproject.toml").read_text())["project"]

    assert project["name"].startswith("irisvue-")
    assert "Private :: Do Not Upload" in project["classifiers"]


def test_all_members_are_checked() -> None:
    assert {member.name for member in MEMBERS} == {*SERVICES, "contracts", "chassis", "infra"}

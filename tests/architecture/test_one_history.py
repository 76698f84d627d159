"""The migrations of each schema are one chain: what was written side by side stands one behind another."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = sorted({file.parent for file in ROOT.glob("services/*/**/migrations/versions/*.py")})
REVISION = re.compile(r'^revision: str = "(\w+)"$', re.MULTILINE)
BEFORE = re.compile(r'^down_revision: str \| None = (?:"(\w+)"|None)$', re.MULTILINE)


def breaks(texts: dict[str, str]) -> list[str]:
    """Return the revisions that stand twice, and those that two others follow, or nobody knows."""
    names = [REVISION.findall(text)[0] for text in texts.values()]
    before = [BEFORE.findall(text)[0] for text in texts.values()]
    twice = [name for many in (names, before) for name, number in Counter(many).items() if number > 1]
    return sorted({*twice, *(name for name in before if name and name not in names)})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT / "services")))
def test_migrations_are_one_chain(folder: Path) -> None:
    assert breaks({file.name: file.read_text() for file in folder.glob("*.py")}) == []


def test_fork_and_repeated_number_are_found() -> None:
    def migration(name: str, before: str | None) -> str:
        told = "None" if before is None else f'"{before}"'
        return f'revision: str = "{name}"\ndown_revision: str | None = {told}\n'

    first = migration("0001", None)
    assert breaks({"a": first, "b": migration("0002", "0001")}) == []
    assert breaks({"a": first, "b": migration("0002", "0001"), "c": migration("0002", "0001")}) == [
        "0001",
        "0002",
    ]
    assert breaks({"a": first, "b": migration("0002", "0001"), "c": migration("0003", "0001")}) == ["0001"]
    assert breaks({"a": first, "b": migration("0003", "0002")}) == ["0002"]

"""docs/one-request.md is short enough to be read, and leads to what is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "one-request.md"
LONGEST_WALK = 20
LINK = re.compile(r"\]\((\.\./[^)]+\.py)\)")
# `register_user`, `Users.add`: no route, no queue, no command.
NAME = re.compile(r"`([A-Za-z_]\w*(?:\.\w+)?)`")
JOURNEYS = re.findall(r"^## (.+)$", PAGE.read_text(), re.MULTILINE)


def walk(title: str) -> str:
    return PAGE.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]


def files(text: str) -> set[Path]:
    return {(PAGE.parent / link).resolve() for link in LINK.findall(text)}


def names_of(file: Path) -> set[str]:
    """Return the functions and classes of a file, and what its classes have: `Users.add`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            members = [getattr(member, "name", None) for member in node.body]
            members += [it.target.id for it in node.body if isinstance(it, ast.AnnAssign)]
            found |= {f"{node.name}.{member}" for member in members if member}
    return found


@pytest.mark.parametrize("title", JOURNEYS)
def test_journey_passes_twenty_files_at_most(title: str) -> None:
    passed = files(walk(title))
    assert passed
    assert len(passed) <= LONGEST_WALK, sorted(str(file.relative_to(ROOT)) for file in passed)


def test_linked_file_is_there() -> None:
    assert [file for file in files(PAGE.read_text()) if not file.is_file()] == []


def test_named_function_is_in_one_of_the_linked_files() -> None:
    text = PAGE.read_text()
    there = set().union(*(names_of(file) for file in files(text)))
    named = set(NAME.findall(text))
    assert "register_user" in named
    assert sorted(named - there) == []

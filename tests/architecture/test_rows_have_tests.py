"""Every row of the standards about accounts and secrets names a test: A-01 to A-20 stand in test ids.

So do the rows about faults and abuse of stored pictures: R21 to R24, R28, S10, S11 and S20 stand in names.
"""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = [f"A-{number:02}" for number in range(1, 21)]
STORED = ["R21", "R22", "R23", "R24", "R28", "S10", "S11", "S20"]
ID = re.compile(r"(?:S\d+-)?(A-\d\d)(?:-[\w'-]|-$|-\{|$)")


def rows_in(source: str) -> set[str]:
    """Return the rows that the ids of a test file begin with."""
    texts = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    found = (ID.match(text) for text in texts if isinstance(text, str))
    return {match[1] for match in found if match}


@functools.cache
def files_by_row() -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for pattern in ("libs/*/tests", "services/*/tests"):
        for folder in ROOT.glob(pattern):
            for file in sorted(folder.rglob("test_*.py")):
                for row in rows_in(file.read_text()):
                    named.setdefault(row, []).append(str(file.relative_to(ROOT)))
    return named


@pytest.mark.parametrize("row", ROWS)
def test_row_has_a_test(row: str) -> None:
    assert files_by_row().get(row), f"no test id begins with {row}"


def test_no_test_names_a_row_that_does_not_exist() -> None:
    assert set(files_by_row()) == set(ROWS)


def test_secrets_are_tested_where_they_are_kept() -> None:
    named = files_by_row()
    for row, services in {
        "A-18": {"storage"},
        "A-19": {"identity", "storage"},
        "A-20": {"identity", "storage"},
    }.items():
        assert services <= {Path(file).parts[1] for file in named[row]}, row


@functools.cache
def rows_in_names() -> set[str]:
    """Return the rows that functions are named after, as in `test_r21_it_is_so`."""
    patterns = ("libs/*/tests", "services/*/tests", "tests")
    files = (
        file for pattern in patterns for place in ROOT.glob(pattern) for file in place.rglob("test_*.py")
    )
    return {row.upper() for file in files for row in re.findall(r"def test_([a-z]\d\d)_", file.read_text())}


@pytest.mark.parametrize("row", STORED)
def test_row_about_stored_pictures_has_a_test(row: str) -> None:
    assert row in rows_in_names()


@pytest.mark.parametrize(
    ("source", "rows"),
    [
        ('ids = ["A-01-short", "S4-A-10-race", "A-14"]', {"A-01", "A-10", "A-14"}),
        ('ids = "A-11-{}".format', {"A-11"}),
        ('ids = (f"A-11-{name}" for name in names)', {"A-11"}),
        ('"""Row A-02 is proved here."""', set()),
        ('message = "as A-03 says"', set()),
        ('message = "A-03 says so"', set()),
        ("# A-04-guessing", set()),
    ],
)
def test_rows_are_found_in_ids_only(source: str, rows: set[str]) -> None:
    assert rows_in(source) == rows

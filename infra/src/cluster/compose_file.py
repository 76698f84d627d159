"""Reads compose.yaml with the values of a `.env` in place, without an engine."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from cluster.errors import ClusterError

# `$$`, or the beginning of `${NAME}`, `${NAME:?message}`, `${NAME-default}`, `${NAME:-default}` or
# `${NAME:+instead}`.
OPENING = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?P<kind>:\?|:\+|:-|-|(?=\})))")
BRACE = re.compile(r"\$\{|\}")


def services(path: Path, values: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the services of `path` by name; a required variable without value is a ClusterError."""
    return {name: service(path.read_text(), values, name) for name in _document(path.read_text())["services"]}


def service(text: str, values: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return one service of a text like compose.yaml's."""
    filled: dict[str, Any] = _filled(_document(text)["services"][name], values)
    return filled


@lru_cache
def _document(text: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return document


def networks(path: Path) -> dict[str, dict[str, Any]]:
    """Return the networks of `path` by name."""
    declared: dict[str, dict[str, Any] | None] = _document(path.read_text())["networks"]
    return {name: options or {} for name, options in declared.items()}


def variables_of(path: Path) -> set[str]:
    """Return the names of all variables that `path` uses."""
    text = path.read_text().replace("$$", "")
    return {match["name"] for match in OPENING.finditer(text) if match["name"]}


def defaults_of(path: Path, *, suffix: str) -> dict[str, str]:
    """Return the default of every variable of `path` whose name ends so."""
    text = path.read_text()
    found = (match for match in OPENING.finditer(text) if match["name"] and match["name"].endswith(suffix))
    return {match["name"]: _until_closed(text[match.end() :])[0] for match in found}


def _filled(node: Any, values: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, values) for value in node]
    return fill(node, values) if isinstance(node, str) else node


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace the variables of `text`; a default may hold variables of its own."""
    opening = OPENING.search(text)
    if opening is None:
        return text
    before, rest = text[: opening.start()], text[opening.end() :]
    if opening["name"] is None:
        return f"{before}$" + fill(rest, values)
    alternative, rest = _until_closed(rest)
    value = values.get(opening["name"], "")
    if opening["kind"] == ":?" and not value:
        raise ClusterError(f"compose.yaml needs {opening['name']}: {alternative}")
    if opening["kind"] == ":+":
        value, alternative = (alternative if value else ""), ""
    # Our variables are never set and empty on purpose: `-` and `:-` say the same.
    return before + (value or fill(alternative, values)) + fill(rest, values)


def _until_closed(text: str) -> tuple[str, str]:
    depth = 0
    for brace in BRACE.finditer(text):
        if brace.group() == "${":
            depth += 1
        elif depth:
            depth -= 1
        else:
            return text[: brace.start()], text[brace.end() :]
    raise ClusterError(f"compose.yaml has a ${{ that is never closed: {text}")

"""Reads compose.yaml with the values of a `.env` in place, without an engine."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cluster.errors import ClusterError

VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<kind>:\?|-)(?P<rest>[^}]*))?\})")


def services(path: Path, values: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the services of `path` by name; a required variable without value is a ClusterError."""
    document = yaml.safe_load(path.read_text())
    filled: dict[str, dict[str, Any]] = _filled(document["services"], values)
    return filled


def variables_of(path: Path) -> set[str]:
    """Return the names of all variables that `path` uses."""
    return {match["name"] for match in VARIABLE.finditer(path.read_text()) if match["name"]}


def _filled(node: Any, values: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, values) for value in node]
    return VARIABLE.sub(lambda match: _value(match, values), node) if isinstance(node, str) else node


def _value(match: re.Match[str], values: Mapping[str, str]) -> str:
    if match["dollar"]:
        return "$"
    value = values.get(match["name"], "")
    if match["kind"] == ":?" and not value:
        raise ClusterError(f"compose.yaml needs {match['name']}: {match['rest']}")
    return value or (match["rest"] if match["kind"] == "-" else "")

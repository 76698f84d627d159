"""Writes and reads `.env`."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from cluster import members, secret_values, strength, variables
from cluster.errors import ClusterError

HIGHEST_PORT = 65535
PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]*")
PUBLIC_KEYS = "SERVICE_PUBLIC_KEYS"
# What an earlier version has generated, and nobody reads any more.
RETIRED = frozenset({"GATEWAY_BROKER_PASSWORD"})


def ensure(path: Path, *, given: Mapping[str, str] | None = None, port_offset: int = 0) -> list[str]:
    """Create `path` or append what it lacks; returns the names that were added.

    Values come from `given`, else the process environment, else the variable's default or generator.
    A line that exists is never changed, except that the public keys follow the private ones.
    """
    present = read(path) if path.exists() else {}
    known = variables.variables()
    added = {
        name: _first_value(variable, given or {}, port_offset)
        for name, variable in known.items()
        if name not in present
    }
    if "PUBLIC_URL" in added and "PUBLIC_URL" not in (given or {}):
        port = added.get("GATEWAY_PORT") or present["GATEWAY_PORT"]
        added["PUBLIC_URL"] = os.environ.get("PUBLIC_URL") or f"http://localhost:{port}"
    merged = {**present, **added}
    public = secret_values.public_keys({s: merged[f"{s.upper()}_SERVICE_KEY"] for s in members.SERVICES})
    if PUBLIC_KEYS in added:
        added[PUBLIC_KEYS] = public
    if not present:
        _write(path, _filled(variables.FILE.read_text(), added))
    elif added:
        lines = [f"# {known[name].comment}\n{name}={_quoted(value)}" for name, value in added.items()]
        earlier = path.read_text().rstrip("\n")
        _write(path, "\n".join([earlier, "", "# Added by a newer version.", *lines]) + "\n")
    if present and present.get(PUBLIC_KEYS, public) != public:
        replace(path, {PUBLIC_KEYS: public})
    return list(added)


def replace(path: Path, values: Mapping[str, str]) -> None:
    """Give names that `path` has already new values; the rest stays as it is."""
    _write(path, _filled(path.read_text(), values))


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Return a text with the values of these names in the place of what it says."""
    lines = text.splitlines()
    for position, line in enumerate(lines):
        name = line.partition("=")[0]
        if name in values:
            lines[position] = f"{name}={_quoted(values[name])}"
    return "\n".join(lines) + "\n"


def read(path: Path) -> dict[str, str]:
    """Return the values of `path`, taken literally; an unreadable file is a ClusterError."""
    try:
        return {name: value or "" for name, value in dotenv_values(path, interpolate=False).items()}
    except PermissionError as error:
        raise ClusterError(
            f"{path} can't be read. It belongs to the user who first ran `make up`."
        ) from error


def load(path: Path) -> dict[str, str]:
    """Return the values of `path`; what is missing is a ClusterError that says what to do."""
    if not path.exists():
        raise ClusterError(f"{path} does not exist yet. Run `make up`, which creates it.")
    values = read(path)
    _refuse_unknown(path, values)
    empty = [
        name
        for name, variable in variables.variables().items()
        if not variable.optional and not values.get(name)
    ]
    if empty:
        raise ClusterError(
            f"{path} gives no value for {', '.join(empty)}. "
            "Delete these lines and run `make up`, which fills them in."
        )
    for name, variable in variables.variables().items():
        if variable.is_port and not (values[name].isdigit() and 0 < int(values[name]) <= HIGHEST_PORT):
            raise ClusterError(f"{name} in {path} must be a port number from 1 to 65535.")
    strength.refuse_weak(
        values, [name for name, variable in variables.variables().items() if variable.is_secret]
    )
    return values


def _refuse_unknown(path: Path, values: Mapping[str, str]) -> None:
    """Raise a ClusterError for a name that looks like a setting of ours and would be overlooked."""
    known = variables.variables()
    prefixes = tuple(f"{service.upper()}_" for service in members.SERVICES)
    for name, value in values.items():
        # An earlier version wrote names that mean nothing any more, most of them without values.
        if name in known or name in RETIRED or not value or not name.startswith(prefixes):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"do you mean {near[0]}?" if near else "see .env.example for the names that are."
        raise ClusterError(f"{name} in {path} is no setting; {hint}")


def overlooked(values: Mapping[str, str]) -> list[str]:
    """Names that the process environment sets differently from `.env`, which decides."""
    return [name for name in variables.variables() if os.environ.get(name, values[name]) != values[name]]


def _first_value(variable: variables.Variable, given: Mapping[str, str], port_offset: int) -> str:
    if variable.name in given:
        return given[variable.name]
    from_environment = os.environ.get(variable.name)
    if from_environment:
        return from_environment
    if variable.generate is not None:
        return variable.generate()
    return str(int(variable.value) + port_offset) if variable.is_port else variable.value


def _quoted(value: str) -> str:
    if PLAIN.fullmatch(value):
        return value
    if "'" in value:
        raise ClusterError("A value of .env can't contain a single quote.")
    return f"'{value}'"


def _write(path: Path, text: str) -> None:
    """Replace `path` in one step; only its owner can read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)

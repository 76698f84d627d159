"""Writes the services' environment into compose.yaml, in the words in which Compose fills in variables."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from cluster.environment import BUCKET, compose_network, own_names, wiring
from cluster.errors import ClusterError
from cluster.members import DATABASE_SERVICES, SERVICES
from cluster.redis_users import access_list
from native import s3

S3_PEM = Path("/run/irisvue/grpc.pem")
# A file of this machine, and where its container has it.
MOUNTED = {"CONSENT_GEOIP_DB_PATH": "/srv/geoip.mmdb"}
BEGIN = "# --- Environment of the services: written by `make settings`, not by hand ---"
END = "# --- End of what `make settings` writes ---"


class _Placeholders(Mapping[str, str]):
    """Stands for a `.env`: each value is the text that makes Compose read it."""

    def __getitem__(self, name: str) -> str:
        return f"${{{name}:?run make env}}"

    def get(self, name: str, default: str | None = None) -> str:  # type: ignore[override]
        return f"${{{name}-{default or ''}}}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def rewrite(path: Path) -> None:
    """Replace the generated part of compose.yaml."""
    path.write_text(rewritten(path.read_text()))


def rewritten(text: str) -> str:
    """Return the text of compose.yaml with its generated part anew."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ClusterError(f"compose.yaml needs the lines {BEGIN!r} and {END!r}.")
    return before + begin + "\n" + _blocks() + end + after


def _blocks() -> str:
    lines = ["x-redis: &redis", *_mapping({"USERS": access_list(_Placeholders())}), ""]
    lines += ["x-s3: &s3", *_mapping(_store()), ""]
    for service in SERVICES:
        ordinary = _environment(service, migrates=False)
        lines += [f"x-{service}: &{service}", *_mapping(ordinary), ""]
        if service in DATABASE_SERVICES:
            owners = _environment(service, migrates=True)
            added = {name: value for name, value in owners.items() if name not in ordinary}
            lines += [f"x-{service}-owner: &{service}-owner", f"  <<: *{service}", *_mapping(added), ""]
    return "\n".join(lines)


def _store() -> dict[str, str]:
    """Return what the container of the object store writes into files when it starts, and its options."""
    values = _Placeholders()
    keys = s3.s3_keys(values)
    return {
        "ACCESS_TABLE": json.dumps(s3.access_table(keys, f"${{STORAGE_S3_BUCKET:-{BUCKET}}}")),
        "SECURITY": s3.security(keys, S3_PEM),
        "GRPC_CERTIFICATE": keys.certificate,
        "LOGGING": _options(s3.LOGGING),
        "OPTIONS": _options(s3.OPTIONS),
    }


def _options(options: Mapping[str, object]) -> str:
    return " ".join(f"-{name}={value}" for name, value in options.items())


def _environment(service: str, *, migrates: bool) -> dict[str, str]:
    wired = wiring(_Placeholders(), service, compose_network(), migrates=migrates)
    own = own_names(service, migrates=migrates)
    return wired | {name: _overridable(name, wired.get(name, "")) for name in own}


def _overridable(name: str, wired: str) -> str:
    if name in MOUNTED:
        return f"${{{name}:+{MOUNTED[name]}}}"
    if wired == f"${{{name}:?run make env}}":
        return wired
    return f"${{{name}:-{wired}}}" if wired else f"${{{name}-}}"


def _mapping(values: Mapping[str, str]) -> list[str]:
    # A JSON string is a string of YAML 1.2, too.
    return [f"  {name}: {json.dumps(value)}" for name, value in values.items()]

"""What a new service changes: a folder of its own, and a line in each list that nothing derives."""

import re
from dataclasses import dataclass
from pathlib import Path

TEMPLATE = Path(__file__).parent / "template"
SAMPLE = "sample"
NAME = re.compile(r"[a-z]{3,32}")
"""What an event's type, a schema and a Python package can all be called."""
TAKEN = frozenset(
    {"admin", "any", "chassis", "cluster", "contracts", "database", "keyring", "native", "public", "servers"}
)


class Unwritable(Exception):
    """The service can't be written; says why."""


@dataclass(frozen=True)
class Change:
    """One place of a file: what stands there, and what is put before or behind it."""

    file: str
    anchor: str
    text: str
    behind: bool = True


def changes(name: str) -> tuple[Change, ...]:
    """List every line that names a service by hand."""
    source, folder = f"services/{name}/src", f"services/{name}"
    registry, routes = "libs/contracts/src/contracts/registry.py", "services/gateway/src/gateway/routes.py"
    settings = "services/gateway/src/gateway/settings.py"
    last_route = "\n)\n\n\ndef with_photos_of"
    return (
        Change(
            registry,
            '        Member(\n            "gateway",\n',
            f'        Member("{name}", asks=("identity", "storage")),\n',
            behind=False,
        ),
        Change(
            registry,
            '            asks=(\n                "identity",\n',
            f'                "{name}",\n',
        ),
        *_packaging(name, source),
        Change(routes, '    STORAGE = "storage"\n', f'    {name.upper()} = "{name}"\n'),
        Change(routes, last_route, _routes(name), behind=False),
        Change(
            settings,
            '    storage_url: str = Field(description="Where storage answers.")\n',
            f'    {name}_url: str = Field(description="Where {name} answers.")\n',
        ),
        Change(
            "tools/api_description/completion.py",
            '    "storage": "Photographs: upload, show, delete.",\n',
            f'    "{name}": "What people wrote down.",\n',
        ),
        Change("infra/docker/dev.yaml", "services:\n", _watched(name, folder)),
    )


def _packaging(name: str, source: str) -> tuple[Change, ...]:
    return (
        Change(
            "pyproject.toml",
            "irisvue-storage = { workspace = true }\n",
            f"irisvue-{name} = {{ workspace = true }}\n",
        ),
        Change("pyproject.toml", "services/gateway/src:", f"{source}:"),
        Change("pyproject.toml", '["contracts", "chassis", ', f'"{name}", '),
        Change("pyproject.toml", 'layers = ["', f"{name} | "),
        Change("pyproject.toml", 'containers = ["identity", "consent", ', f'"{name}", '),
    )


def _routes(name: str) -> str:
    path, upstream = f"/api/v1/{name}/entries", f"Upstream.{name.upper()}"
    return "".join(f'\n    _bearer({upstream}, "{method}", "{path}"),' for method in ("POST", "GET"))


def _watched(name: str, folder: str) -> str:
    sources = f'&{name}-sources ["./libs:/app/libs:ro", "./{folder}:/app/{folder}:ro"]'
    return "".join(
        f"  {name}-{kind}:\n    <<: *watch\n"
        f'    command: ["python -m {name} {kind}", /app/libs, /app/{folder}/src]\n'
        f"    volumes: {volumes}\n"
        for kind, volumes in (("api", sources), ("worker", f"*{name}-sources"))
    )


def require_writable(root: Path, name: str, taken: frozenset[str] = TAKEN) -> None:
    """Raise `Unwritable` for a name that can't be had."""
    if not NAME.fullmatch(name):
        raise Unwritable(f"{name!r}: a service is called by 3 to 32 lower-case letters, as `rendering`.")
    if name in taken or (root / "services" / name).exists() or (root / "tools" / name).exists():
        raise Unwritable(f"{name} is taken.")


def write(root: Path, name: str) -> None:
    """Write the service and the lists; raises `Unwritable` before anything is changed."""
    require_writable(root, name)
    texts = {change.file: (root / change.file).read_text() for change in changes(name)}
    for change in changes(name):
        texts[change.file] = _changed(texts[change.file], change)
    for file in sorted(TEMPLATE.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            place = root / "services" / name / _named(str(file.relative_to(TEMPLATE)), name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(_named(file.read_text(), name))
    for path, text in texts.items():
        (root / path).write_text(text)


def _changed(text: str, change: Change) -> str:
    if change.anchor not in text:
        raise Unwritable(
            f"{change.file} has no {change.anchor.strip()!r} any more: mend new_service/writing.py."
        )
    both = change.anchor + change.text if change.behind else change.text + change.anchor
    # The order of layers is the first list of that kind, and only that names services.
    everywhere = change.anchor.startswith('["contracts"')
    return text.replace(change.anchor, both) if everywhere else text.replace(change.anchor, both, 1)


def _named(text: str, name: str) -> str:
    for sample, named in ((SAMPLE, name), (SAMPLE.title(), name.title()), (SAMPLE.upper(), name.upper())):
        text = text.replace(sample, named)
    return text

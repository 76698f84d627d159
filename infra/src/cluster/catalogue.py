"""The settings of each service, as its Settings class declares them; `make settings` writes settings.json."""

import importlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.members import SERVICES

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

FILE = Path(__file__).with_name("settings.json")

# Settings that have one value for every service that declares them, and the variable of `.env` that has it.
SHARED = {
    "ENVIRONMENT": "ENVIRONMENT",
    "PUBLIC_URL": "PUBLIC_URL",
    "SERVICE_PUBLIC_KEYS": "SERVICE_PUBLIC_KEYS",
    "PROVED_ADDRESS_FOR_BIOMETRICS": "IDENTITY_PROVED_ADDRESS_FOR_BIOMETRICS",
    "UPLOAD_LIMIT_BYTES": "STORAGE_UPLOAD_LIMIT_BYTES",
    "CORS_ORIGINS": "CORS_ORIGINS",
}
# Where a process listens follows from the mode: a container has its own addresses and ports.
LISTEN = frozenset({"HOST", "PORT", "WORKER_PORT"})


@cache
def settings(service: str) -> dict[str, str]:
    """Return what each setting of a service means, by its name without the service's prefix."""
    known: dict[str, dict[str, str]] = json.loads(FILE.read_text())
    return known[service]


def own_settings(service: str) -> dict[str, str]:
    """Return the settings that `.env` can give this service alone."""
    return {
        name: meaning
        for name, meaning in settings(service).items()
        if name not in SHARED and name not in LISTEN
    }


def text() -> str:
    """Return what settings.json has to say, from the Settings classes as they are now."""
    return json.dumps(declared(), indent=1, ensure_ascii=False) + "\n"


def declared() -> dict[str, dict[str, str]]:
    """Read every field of every Settings class; needs the services themselves, unlike `settings`."""
    return {service: _fields_of(service) for service in SERVICES}


def _fields_of(service: str) -> dict[str, str]:
    module = importlib.import_module(f"{service}.settings")
    fields = getattr(module, f"{service.title()}Settings").model_fields
    return {name.upper(): _meaning(name, field) for name, field in fields.items()}


def _meaning(name: str, field: "FieldInfo") -> str:
    """Return its description and its default; a field without description is a LookupError."""
    if not field.description:
        raise LookupError(f"the setting {name} needs Field(description=…)")
    words = field.description.rstrip(".") + "."
    if field.is_required():
        return f"{words} Default: the cluster's own."
    if field.default is None or field.default_factory or field.default in ((), "", {}):
        return words
    default = field.default if isinstance(field.default, str) else json.dumps(field.default)
    return f"{words} Default: {default}."

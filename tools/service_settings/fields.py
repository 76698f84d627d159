"""The settings of each service, as its Settings class declares them."""

import importlib
import json
from functools import cache

from pydantic.fields import FieldInfo

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
    return {name.upper(): _meaning(name, field) for name, field in _fields(service).items()}


def defaults(service: str) -> dict[str, object]:
    """Return what each setting of a service is when nothing is said, by its name without the prefix."""
    return {name.upper(): field.default for name, field in _fields(service).items()}


def own_settings(service: str) -> dict[str, str]:
    """Return the settings that `.env` can give this service alone, by their variables."""
    return {
        f"{service.upper()}_{name}": meaning
        for name, meaning in settings(service).items()
        if name not in SHARED and name not in LISTEN
    }


def _fields(service: str) -> dict[str, FieldInfo]:
    module = importlib.import_module(f"{service}.settings")
    found: dict[str, FieldInfo] = getattr(module, f"{service.title()}Settings").model_fields
    return found


def _meaning(name: str, field: FieldInfo) -> str:
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
